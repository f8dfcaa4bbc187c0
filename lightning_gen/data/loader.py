"""Images that are fetched a batch at a time, and the DataLoader that fetches them."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import Any

import torch
from jaxtyping import Bool, Int, Shaped, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, SequentialSampler

from lightning_gen.contracts import Batch
from lightning_gen.data.interfaces import Source
from lightning_gen.errors import UserError

CPU = torch.device("cpu")
SIZES = "{batches}, of {batch_size} images on each of {processes} processes"


@dataclass(frozen=True)
class TensorSource:
    """A dataset held whole, as one tensor.

    Attributes:
        images: all images.
        labels: the class of each image; zeros where there are none.
        factors: ground-truth factors or attributes; F = 0 where there are none.
        names: the file of each image, or its place in the dataset; None where that is its place
            here.
    """

    images: UInt8[Tensor, "n c h w"]
    labels: Int[Tensor, " n"]
    factors: Shaped[Tensor, "n f"]
    names: Sequence[str | int] | None = None

    @classmethod
    def of(cls, images: Tensor, labels: Tensor | None = None) -> "TensorSource":
        """A source without factors; without ``labels`` all images are of class 0."""
        if labels is None:
            labels = torch.zeros(len(images), dtype=torch.int64)
        return cls(images, labels, torch.empty(len(images), 0))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, indices: Tensor) -> Batch:
        # On the CPU index_select copies whole images, three times as fast as self.images[indices].
        parts = self.images, self.labels, self.factors
        return Batch(*(part.index_select(0, indices) for part in parts))

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.images.device

    @property
    def num_bytes(self) -> int:
        """Memory that the tensors take."""
        return sum(part.nbytes for part in (self.images, self.labels, self.factors))

    def subset(self, indices: Tensor) -> "TensorSource":
        """A copy of the images at these positions."""
        return TensorSource(*self[indices], names_of(self, indices))

    def binarized(self) -> "TensorSource":
        """A copy whose pixels are 0 or 255, 255 with probability pixel / 255; always one draw."""
        generator = torch.Generator().manual_seed(0)
        images = torch.empty_like(self.images)
        parts = (torch.split(each, 4096) for each in (self.images, images))
        for grey, binary in zip(*parts, strict=True):
            noise = torch.rand(grey.shape, generator=generator)
            binary.copy_((255 * noise < grey) * 255)
        return replace(self, images=images)

    def to(self, device: torch.device) -> "TensorSource":
        """The same dataset on another device."""
        images, labels, factors = (t.to(device) for t in (self.images, self.labels, self.factors))
        return TensorSource(images, labels, factors, self.names)


@dataclass(frozen=True)
class Split(Dataset[Batch]):
    """Some images of a source, which are a source themselves.

    Attributes:
        source: where the images are.
        indices: their positions in ``source``, in the order that loaders keep.
        placed_for: the accelerator that the source was placed for.
    """

    source: Source
    indices: Int[Tensor, " n"]
    placed_for: torch.device = CPU

    @classmethod
    def of(cls, source: Source) -> "Split":
        """All images of a source."""
        return source if isinstance(source, Split) else cls(source, torch.arange(len(source)))

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, positions: Tensor | list[int]) -> Batch:
        return self.source[self.indices[positions]]

    @property
    def device(self) -> torch.device:
        """Where the batches are made."""
        return self.source.device

    @property
    def names(self) -> list[str | int]:
        """The file of each image, or its place in its dataset."""
        return names_of(self.source, self.indices)

    @property
    def labels(self) -> Int[Tensor, " n"] | None:
        """The class of each image; None where the source knows it with its image alone."""
        labels: Tensor | None = getattr(self.source, "labels", None)
        return None if labels is None else labels[self.indices]

    @cached_property
    def digest(self) -> str:
        """Eight digits that are others where files, their order or their labels are others."""
        digest = sha256(repr(self.names).encode("utf-8", "backslashreplace"))
        if self.labels is not None:
            digest.update(self.labels.cpu().numpy().tobytes())
        return digest.hexdigest()[:8]

    def at(self, positions: Tensor | slice) -> "Split":
        """These of the images."""
        return replace(self, indices=self.indices[positions])

    def shuffled(self) -> "Split":
        """The images in another order: of a sorted dataset, the first are a fair sample."""
        return self.at(shuffled(len(self)))

    def binarized(self) -> "Split":
        """The images with pixels of 0 and 255, where they are held in memory."""
        if not isinstance(self.source, TensorSource):
            return self
        return replace(self, source=self.source.binarized())

    def are_of(self, classes: Sequence[int]) -> Bool[Tensor, " n"]:
        """Which of the images are of these classes; all are where none is given."""
        if not classes or self.labels is None:
            return torch.ones(len(self), dtype=torch.bool)
        return torch.isin(self.labels, torch.tensor(classes))


def names_of(source: Source, indices: Tensor) -> list[str | int]:
    """The file of each of these images, or its place in its dataset."""
    names: Sequence[str | int] | None = getattr(source, "names", None)
    positions: list[int] = indices.tolist()
    return [*positions] if names is None else [names[position] for position in positions]


def shuffled(count: int) -> Tensor:
    """The numbers below ``count`` in an order that is the same each time."""
    # One fixed seed: runs of other seeds must not be compared on other held-out images.
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))


def images_of_an_epoch(count: int, batch_size: int, world_size: int) -> int:
    """How many of ``count`` images an epoch of training takes, on all ranks together.

    Every rank gets equally many. A last batch of one image is left out, since its variance, which
    BatchNorm and others divide by, is 0; not where it is the only batch, or all are of one image.
    """
    per_rank = count // world_size
    alone = per_rank % batch_size == 1 and per_rank > batch_size
    return (per_rank - alone) * world_size


class Batches(DistributedSampler[Any]):
    """A rank's batches of the positions below ``count``, in an order given by (seed, epoch).

    In training every rank gets equally many images (see :func:`images_of_an_epoch`), and what is
    left out is another each time. In evaluation nothing is left out, and shards differ by at most
    one image. Lightning leaves a DistributedSampler as it is, and calls its ``set_epoch``.

    Args:
        count: how many images there are.
        batch_size: images a batch on each rank.
        seed: of the order in training; None keeps the order and every image.
        shard: this process, and the number of processes that share an epoch.
        device: where the positions are wanted; None gives lists, which workers are sent.

    Attributes:
        position: how many batches of the epoch were handed out.
        start: how many of them the next iteration leaves out, since they were seen.
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        seed: int | None = None,
        shard: tuple[int, int] = (0, 1),
        device: torch.device | None = None,
    ) -> None:
        rank, world_size = shard
        super().__init__(range(count), world_size, rank, seed is not None, seed or 0)  # type: ignore[arg-type]
        self.count = count
        self.batch_size = batch_size
        self.device = device
        self.position = self.start = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order; a place to go on at within another epoch is forgotten."""
        if epoch != self.epoch:
            self.epoch, self.position, self.start = epoch, 0, 0

    def __len__(self) -> int:
        total = self.count
        if self.shuffle:
            total = images_of_an_epoch(self.count, self.batch_size, self.num_replicas)
        return -(-len(range(self.rank, total, self.num_replicas)) // self.batch_size)

    def __iter__(self) -> Iterator[Tensor | list[int]]:
        order = torch.arange(self.count)
        if self.shuffle:
            seed = (self.seed * 1_000_003 + self.epoch) % 2**63
            order = torch.randperm(self.count, generator=torch.Generator().manual_seed(seed))
            order = order[: images_of_an_epoch(self.count, self.batch_size, self.num_replicas)]
        shard = order[self.rank :: self.num_replicas]
        if self.device is not None:
            shard = shard.to(self.device)
        batches = torch.split(shard, self.batch_size)[self.start : len(self)]
        return iter(batches) if self.device is not None else (each.tolist() for each in batches)


class BatchesInOrder(Batches, SequentialSampler):  # type: ignore[misc]
    """Batches in a fixed order, which ``trainer.overfit_batches`` has no need to exchange."""


class BatchLoader(DataLoader[Batch]):
    """A DataLoader that asks its dataset for whole batches, and goes on at any of them.

    It is what torch calls loading without automatic batching: the sampler gives the positions of a
    batch, the dataset takes them all at once. A Lightning Trainer keeps :meth:`state_dict` in the
    checkpoint. What counts there is what was handed out, however far workers have read ahead.

    Args:
        dataset: the images.
        batch_size: images a batch on each rank; None gives all at once.
        seed: of the order in training; None keeps the order and every image.
        shard: this process, and the number of processes that share an epoch.
        num_workers: processes that fetch batches ahead; 0 fetches in this process.
        sampler: the batches, where they are there.
        **options: those of DataLoader.
    """

    dataset: Split
    sampler: Batches

    def __init__(
        self,
        dataset: Split,
        batch_size: int | None = None,
        seed: int | None = None,
        shard: tuple[int, int] = (0, 1),
        num_workers: int = 0,
        sampler: Batches | None = None,
        **options: Any,  # noqa: ANN401  (DataLoader's)
    ) -> None:
        if sampler is None:  # else it is that of a loader of which Lightning makes another
            kind = BatchesInOrder if seed is None else Batches
            device = None if num_workers else dataset.source.device
            sampler = kind(len(dataset), batch_size or len(dataset), seed, shard, device)
        # Of a generator of its own, torch draws no number from the global one.
        options |= {"batch_size": None, "generator": torch.Generator()}
        super().__init__(dataset, sampler=sampler, num_workers=num_workers, **options)
        self._started_with = self._sizes
        if num_workers == 0:  # Lightning would have some for images that are in memory
            warnings.filterwarnings("ignore", r"The '\w+_dataloader' does not have many workers")

    @property
    def num_images(self) -> int:
        """Images of the whole split, on all ranks."""
        return len(self.dataset)

    @property
    def _sizes(self) -> dict[str, int]:
        sizes = {"batch_size": self.sampler.batch_size, "processes": self.sampler.num_replicas}
        return sizes | {"batches": len(self)}

    def state_dict(self) -> dict[str, int]:
        """The epoch, the number of its batches that were handed out, and what they hang on."""
        return {"epoch": self.sampler.epoch, "batch": self.sampler.position, **self._sizes}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on at a saved place; at the next epoch where all batches of that one were seen."""
        self.sampler.epoch, self.sampler.position = state["epoch"], state["batch"]
        self._started_with = {name: state.get(name, size) for name, size in self._sizes.items()}
        self.sampler.start = self.sampler.position % max(1, self._started_with["batches"])

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """Batches from the place to go on at.

        A UserError says that that place is within an epoch of other batches, or not one image of a
        batch can be read.
        """
        sampler = self.sampler
        if sampler.start > 0 and self._started_with != self._sizes:
            raise UserError(
                f"the checkpoint is from the middle of an epoch, at batch {sampler.start} of "
                f"{SIZES.format(**self._started_with)}; now they are "
                f"{SIZES.format(**self._sizes)}. Go on with that data.batch_size and number of "
                "devices, or from the end of an epoch."
            )
        batches = super().__iter__()
        sampler.position, sampler.start = sampler.start, 0
        try:
            for batch in batches:
                sampler.position += 1
                yield batch
        except UserError as error:
            if self.num_workers == 0:
                raise
            # A worker's error comes as a traceback whose last line it is.
            raise UserError(str(error).strip().rpartition("UserError: ")[2]) from None

    def named(self) -> Iterator[tuple[Batch, list[str | int]]]:
        """Each batch with the file of each of its images, or its place in the dataset."""
        source = self.dataset.source
        for batch, positions in zip(self, self.sampler, strict=True):
            indices = self.dataset.indices[positions]
            if len(batch.images) < len(indices):  # files that cannot be read were left out
                indices = source.whole(indices)  # type: ignore[attr-defined]
            yield batch, names_of(source, indices)
