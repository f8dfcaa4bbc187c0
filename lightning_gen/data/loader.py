"""A loader whose order depends only on (seed, epoch), and that goes on at any batch."""

from collections.abc import Iterator, Sequence
from traceback import format_exception

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, SequentialSampler

from lightning_gen.contracts import Batch
from lightning_gen.data.sources import EncodedImages, Source, names_of
from lightning_gen.errors import UserError

ASKS_A_WORKER = "rebuild_storage_fd"
"""torch's function that asks a worker for the memory of a tensor."""
SIZES = "{batches}, of {batch_size} images on each of {processes} processes"


def images_of_an_epoch(count: int, batch_size: int, world_size: int) -> int:
    """How many of ``count`` images an epoch of training takes, on all ranks together.

    Every rank gets equally many. A last batch of one image is left out, since its variance, which
    BatchNorm and others divide by, is 0; not where it is the only batch, or all are of one image.
    """
    per_rank = count // world_size
    alone = per_rank % batch_size == 1 and per_rank > batch_size
    return (per_rank - alone) * world_size


class BatchLoader:
    """Batches of a source, sharded over ranks and resumable at any batch.

    A Lightning Trainer calls :meth:`set_epoch` at the start of each epoch (through ``sampler``) and
    keeps :meth:`state_dict` in the checkpoint. In training every rank gets equally many images (see
    :func:`images_of_an_epoch`), and what is left out is another each time. In evaluation nothing is
    left out, and shards differ by at most one image.

    Args:
        source: where the batches come from.
        indices: the positions in the source that belong to the split.
        batch_size: images a batch on each rank.
        shuffle_seed: seed of the order in training; None keeps the order and every image.
        shard: this process, and the number of processes that share an epoch.
        num_workers: processes that fetch batches ahead; 0 fetches in this process.
        pin_memory: put the batches where a GPU copies them from while it computes.
    """

    batch_sampler: None = None  # Lightning reads it of everything that has a sampler

    def __init__(
        self,
        source: Source,
        indices: Tensor,
        batch_size: int,
        shuffle_seed: int | None = None,
        shard: tuple[int, int] = (0, 1),
        num_workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        self.source = source
        self.batch_size = batch_size
        self._indices = indices
        self._shuffle_seed = shuffle_seed
        self._shard = shard
        self._num_workers = num_workers
        self._pin_memory = pin_memory
        self._epoch = 0
        self._position = 0
        self._start = 0
        self._started_with = self._sizes

    @property
    def sampler(self) -> "BatchLoader | _InOrder":
        """Where Lightning looks for ``set_epoch``, and for whether the order is shuffled."""
        return _InOrder(self) if self._shuffle_seed is None else self

    def set_epoch(self, epoch: int) -> None:
        """Choose the order; a place to go on at within another epoch is forgotten."""
        if epoch != self._epoch:
            self._epoch, self._position, self._start = epoch, 0, 0

    @property
    def _sizes(self) -> dict[str, int]:
        return {"batch_size": self.batch_size, "processes": self._shard[1], "batches": len(self)}

    def state_dict(self) -> dict[str, int]:
        """The epoch, the number of its batches that were handed out, and what they hang on."""
        return {"epoch": self._epoch, "batch": self._position, **self._sizes}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on at a saved place; at the next epoch where all batches of that one were seen."""
        self._epoch, self._position = state["epoch"], state["batch"]
        self._started_with = {name: state.get(name, size) for name, size in self._sizes.items()}
        self._start = self._position % max(1, self._started_with["batches"])

    @property
    def num_images(self) -> int:
        """Images of the whole split, on all ranks."""
        return len(self._indices)

    def __len__(self) -> int:
        rank, world_size = self._shard
        if self._shuffle_seed is not None:
            images = images_of_an_epoch(self.num_images, self.batch_size, world_size) // world_size
        else:
            images = len(range(rank, self.num_images, world_size))
        return -(-images // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """Batches from the place to go on at.

        Raises:
            UserError: that place is within an epoch of other batches.
        """
        if self._start > 0 and self._started_with != self._sizes:
            raise UserError(
                f"the checkpoint is from the middle of an epoch, at batch {self._start} of "
                f"{SIZES.format(**self._started_with)}; now they are "
                f"{SIZES.format(**self._sizes)}. Go on with that data.batch_size and number of "
                "devices, or from the end of an epoch."
            )
        self._position, self._start = self._start, 0
        for batch in self._fetch(self._batches()[self._position :]):
            self._position += 1
            yield batch

    def named(self) -> Iterator[tuple[Batch, list[str | int]]]:
        """Each batch with the file of each of its images, or its place in the dataset."""
        for batch, indices in zip(self, self._batches(), strict=True):
            if len(batch.images) < len(indices) and isinstance(self.source, EncodedImages):
                indices = self.source.whole(indices)
            yield batch, names_of(self.source, indices)

    def _batches(self) -> Sequence[Tensor]:
        rank, world_size = self._shard
        order = self._indices
        if self._shuffle_seed is not None:
            seed = (self._shuffle_seed * 1_000_003 + self._epoch) % 2**63
            generator = torch.Generator().manual_seed(seed)
            order = order[torch.randperm(len(order), generator=generator)]
            order = order[: images_of_an_epoch(len(order), self.batch_size, world_size)]
        shard = order[rank::world_size].to(self.source.device)
        return torch.split(shard, self.batch_size) if len(shard) else ()  # not one empty batch

    def _fetch(self, batches: Sequence[Tensor]) -> Iterator[Batch]:
        if self._num_workers == 0:
            fetched = map(self.source.__getitem__, batches)
            return map(_pinned, fetched) if self._pin_memory else fetched
        loader = DataLoader(
            _Fetches(self.source),
            batch_size=None,
            sampler=[batch.tolist() for batch in batches],  # a tensor goes by shared memory
            num_workers=self._num_workers,
            pin_memory=self._pin_memory,
            generator=torch.Generator(),  # leaves the global random state alone
        )
        return map(_raised, loader)


class _InOrder(SequentialSampler):
    """Tells Lightning that a loader does not shuffle."""

    def __init__(self, loader: BatchLoader) -> None:
        super().__init__(range(loader.num_images))
        self.set_epoch = loader.set_epoch


class _Fetches(Dataset[Batch | UserError]):
    """A source for the workers of a DataLoader, indexed a batch at a time."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __getitem__(self, indices: list[int]) -> Batch | UserError:
        try:
            return self.source[torch.tensor(indices)]
        except UserError as error:
            return error  # raised in a worker, its one line would come wrapped in a traceback


def lost_worker(error: BaseException) -> UserError | None:
    """What to tell a user where ``error`` is torch's about a worker that was killed; else None.

    torch raises it wherever the main process happens to be, so that no loader can catch it. Where
    that was asking the worker for the memory of a batch, the error is one of a lost connection.
    """
    text = " ".join(str(error).split())
    if isinstance(error, ConnectionError | EOFError | FileNotFoundError):
        if not any(ASKS_A_WORKER in line for line in format_exception(error)):
            return None
        text = f"{type(error).__name__} while a batch was handed over"
    elif not isinstance(error, RuntimeError) or not text.startswith("DataLoader worker (pid"):
        return None
    what = "shared memory (/dev/shm)" if "Bus error" in text else "memory"
    return UserError(
        f"a process that loads images was ended from outside: {text.rstrip('. ')}; most likely the "
        f"{what} ran out. Set data.num_workers to a smaller number, 0 for none, or "
        "data.batch_size to a smaller one, and go on from the last checkpoint."
    )


def _pinned(batch: Batch) -> Batch:
    return Batch(*(tensor.pin_memory() for tensor in batch))


def _raised(batch: Batch | UserError) -> Batch:
    if isinstance(batch, UserError):
        raise batch
    return batch
