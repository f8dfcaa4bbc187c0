"""Arrays too large for memory: written to an ``.npz`` and read from one part by part."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from zipfile import ZipFile

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from lightning_gen.atomic import draft
from lightning_gen.errors import UserError

MOST_BYTES = 2**28
"""A row of more is not read: a small file may claim that it holds one."""

LARGE, DENSE = 2**30, 100
"""An array of more bytes than ``LARGE``, packed into less than 1/``DENSE`` of them, is no data."""


class GrowingArrays:
    """Arrays that grow along their first axis, kept in files until ``pack`` makes one ``.npz``.

    A context manager: the files are gone when the block ends.

    Args:
        folder: where the files are kept meanwhile, beside the result.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = tempfile.TemporaryDirectory(dir=folder, prefix=".arrays_")
        self._files: dict[str, IO[bytes]] = {}
        self._rows: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in self._files.values():
            file.close()
        self._folder.cleanup()

    def append(self, **parts: NDArray[Any]) -> None:
        """Add rows to each array; a new name starts an array."""
        for name, part in parts.items():
            if name not in self._files:
                self._files[name] = (Path(self._folder.name) / name).open("w+b")
                self._rows[name] = (part.dtype, part.shape[1:])
            self._files[name].write(np.ascontiguousarray(part).data)

    def pack(self, path: Path, **small: NDArray[Any]) -> None:
        """Write all arrays, and the ``small`` ones, into an ``.npz``, whole or not at all."""
        with draft(path) as unfinished, ZipFile(unfinished, "w") as archive:
            for name, file in self._files.items():
                dtype, shape = self._rows[name]
                row_bytes = dtype.itemsize * int(np.prod(shape))
                header = {
                    "descr": npy.dtype_to_descr(dtype),
                    "fortran_order": False,
                    "shape": (file.tell() // row_bytes, *shape),
                }
                file.seek(0)
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    npy.write_array_header_1_0(member, header)
                    shutil.copyfileobj(file, member)
            for name, array in small.items():
                with archive.open(f"{name}.npy", "w") as member:
                    npy.write_array(member, array, allow_pickle=False)


def read_rows(path: Path, name: str, batch_size: int) -> Iterator[NDArray[Any]]:
    """An array [N, D] of an ``.npz``, ``batch_size`` rows at a time.

    Raises:
        UserError: the file is broken, or has no such array of numbers.
    """
    with _opened(path, name) as (member, (count, width), dtype):
        for start in range(0, count, batch_size):
            rows = min(batch_size, count - start)
            content = member.read(rows * width * dtype.itemsize)
            yield np.frombuffer(content, dtype).reshape(rows, width)


def count_rows(path: Path, name: str) -> int:
    """How many rows :func:`read_rows` will give, by the header of the array.

    Raises:
        UserError: as there.
    """
    with _opened(path, name) as (_, (count, _), _):
        return count


@contextmanager
def _opened(path: Path, name: str) -> Iterator[tuple[IO[bytes], tuple[int, int], np.dtype[Any]]]:
    """The numbers of an array [N, D], its shape and its type."""
    try:
        with ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
            packed = archive.getinfo(f"{name}.npy")
            if packed.file_size > max(LARGE, DENSE * packed.compress_size):
                claimed, real = packed.file_size / 1e9, packed.compress_size / 1e6
                raise ValueError(f"it claims {claimed:.1f} GB in {real:.1f} MB")
            first = npy.read_magic(member) == (1, 0)
            read_header = npy.read_array_header_1_0 if first else npy.read_array_header_2_0
            shape, fortran_order, dtype = read_header(member)
            if fortran_order or dtype.kind not in "fiu":
                raise ValueError(f"it has {dtype} in another order of memory")
            if len(shape) != 2 or shape[0] < 1 or not 0 < shape[1] * dtype.itemsize <= MOST_BYTES:
                raise ValueError(f"it has the shape {shape}, expected rows and columns")
            if packed.file_size < shape[0] * shape[1] * dtype.itemsize:
                raise ValueError(f"it has fewer numbers than its shape {shape}")
            yield member, (shape[0], shape[1]), dtype
    except Exception as error:  # a broken archive raises nearly anything
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{path} is no .npz with an array {name!r} of numbers ({reason}). Make one with "
            f"numpy.savez(path, {name}=array) or lightning-gen encode."
        ) from error
