"""A loader whose order depends only on (seed, epoch), and that goes on at any batch."""

from collections.abc import Iterator, Sequence
from traceback import format_exception
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lightning_gen.contracts import Batch
from lightning_gen.errors import UserError

ASKS_A_WORKER = "rebuild_storage_fd"
"""torch's function that asks a worker for the memory of a tensor."""


@runtime_checkable
class Source(Protocol):
    """Images that are fetched a whole batch at a time, as uint8."""

    @property
    def device(self) -> torch.device:
        """Where the batches are made."""

    def __len__(self) -> int:
        """How many images there are."""

    def __getitem__(self, indices: Tensor) -> Batch:
        """The batch at these positions."""


@runtime_checkable
class LeavesOut(Protocol):
    """A source that leaves some images out of their batches, and says which before it is asked."""

    @property
    def source(self) -> Source:
        """All images."""

    def kept(self, batches: Sequence[Tensor]) -> list[Tensor]:
        """Of each batch the positions in ``source`` that are not left out."""


class BatchLoader:
    """Batches of a source, sharded over ranks and resumable at any batch.

    A Lightning Trainer calls :meth:`set_epoch` at the start of each epoch (through ``sampler``) and
    keeps :meth:`state_dict` in the checkpoint. In training every rank gets equally many images: up
    to ``world_size - 1`` are left out of an epoch, others each time. In evaluation none is left
    out, and shards differ by at most one image.

    Args:
        source: where the batches come from.
        indices: the positions in the source that belong to the split.
        batch_size: images a batch on each rank.
        shuffle_seed: seed of the order in training; None keeps the order and every image.
        rank: this process among ``world_size``.
        world_size: number of processes that share an epoch.
        num_workers: processes that fetch batches ahead; 0 fetches in this process.
        pin_memory: put the batches where a GPU copies them from while it computes.
    """

    batch_sampler: None = None  # Lightning reads it of everything that has a sampler

    def __init__(
        self,
        source: Source,
        indices: Tensor,
        batch_size: int,
        *,
        shuffle_seed: int | None = None,
        rank: int = 0,
        world_size: int = 1,
        num_workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        self.source = source
        self.batch_size = batch_size
        self._indices = indices
        self._shuffle_seed = shuffle_seed
        self._shard = (rank, world_size)
        self._num_workers = num_workers
        self._pin_memory = pin_memory
        self._epoch = 0
        self._position = 0
        self._start = 0

    @property
    def sampler(self) -> "BatchLoader":
        """Where Lightning looks for ``set_epoch``."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the order; a place to go on at within another epoch is forgotten."""
        if epoch != self._epoch:
            self._epoch, self._position, self._start = epoch, 0, 0

    def state_dict(self) -> dict[str, int]:
        """The epoch and the number of its batches that were handed out."""
        return {"epoch": self._epoch, "batch": self._position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on at a saved place."""
        self._epoch, self._position = state["epoch"], state["batch"]
        self._start = self._position

    @property
    def num_images(self) -> int:
        """Images of the whole split, on all ranks."""
        return len(self._indices)

    def __len__(self) -> int:
        rank, world_size = self._shard
        images, rest = divmod(len(self._indices), world_size)
        if self._shuffle_seed is None and rank < rest:
            images += 1
        return -(-images // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        self._position, self._start = self._start % max(1, len(self)), 0
        source, batches = self.source, self._batches()[self._position :]
        if isinstance(source, LeavesOut):
            batches = source.kept(batches)
            source = source.source
        for batch in self._fetch(source, batches):
            self._position += 1
            yield batch

    def _batches(self) -> Sequence[Tensor]:
        rank, world_size = self._shard
        order = self._indices
        if self._shuffle_seed is not None:
            seed = (self._shuffle_seed * 1_000_003 + self._epoch) % 2**63
            generator = torch.Generator().manual_seed(seed)
            order = order[torch.randperm(len(order), generator=generator)]
            order = order[: len(order) - len(order) % world_size]
        shard = order[rank::world_size].to(self.source.device)
        return torch.split(shard, self.batch_size) if len(shard) else ()  # not one empty batch

    def _fetch(self, source: Source, batches: Sequence[Tensor]) -> Iterator[Batch]:
        if self._num_workers == 0:
            fetched = map(source.__getitem__, batches)
            return map(_pinned, fetched) if self._pin_memory else fetched
        loader = DataLoader(
            _Fetches(source, batches),
            batch_size=None,
            num_workers=self._num_workers,
            pin_memory=self._pin_memory,
            generator=torch.Generator(),  # leaves the global random state alone
        )
        return map(_raised, loader)


class _Fetches(Dataset[Batch | UserError]):
    """The batches of an epoch as a dataset, for the workers of a DataLoader."""

    def __init__(self, source: Source, batches: Sequence[Tensor]) -> None:
        self.source = source
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> Batch | UserError:
        try:
            return self.source[self.batches[number]]
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
