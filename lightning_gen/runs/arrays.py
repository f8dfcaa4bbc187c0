"""Arrays too large for memory: written to an ``.npz`` and read from one part by part."""

import shutil
import tempfile
from collections.abc import Iterator
from math import prod
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
    """An array of an ``.npz``, ``batch_size`` rows at a time.

    Raises:
        UserError: the file is broken, or has no such array of numbers.
    """
    try:
        with ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
            first = npy.read_magic(member) == (1, 0)
            read_header = npy.read_array_header_1_0 if first else npy.read_array_header_2_0
            shape, fortran_order, dtype = read_header(member)
            if fortran_order or dtype.kind not in "fiu":
                raise ValueError(f"it has {dtype} in another order of memory")
            row_bytes = dtype.itemsize * prod(shape[1:])
            if not 0 < row_bytes <= MOST_BYTES or shape[0] < 1:
                raise ValueError(f"it has the shape {shape}")
            for start in range(0, shape[0], batch_size):
                rows = min(batch_size, shape[0] - start)
                content = member.read(rows * row_bytes)
                yield np.frombuffer(content, dtype).reshape(rows, *shape[1:])
    except Exception as error:  # a broken archive raises nearly anything
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{path} is no .npz with an array {name!r} of numbers ({reason}). Make one with "
            f"numpy.savez(path, {name}=array) or lightning-gen encode."
        ) from error
