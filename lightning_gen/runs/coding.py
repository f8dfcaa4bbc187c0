"""Codes of images, and images of codes."""

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_gen import contracts
from lightning_gen.contracts import Codes, condition_on
from lightning_gen.errors import UserError
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.inputs import FileInputs, Inputs
from lightning_gen.runs.outputs import PICTURES, ResultBatch, numbered, write

GRID = 64
"""Images on a page, unless the user asks for more."""
LARGE, DENSE = 2**30, 100
"""An array of more bytes than ``LARGE``, packed into less than 1/``DENSE`` of them, is no data."""


def reconstruct(
    run: FinishedRun,
    inputs: Inputs,
    out: Path,
    num_images: int | None = None,
    own_size: bool = False,
) -> Path:
    """Give images back through their codes.

    Args:
        run: the finished run.
        inputs: the images.
        out: a page of originals over reconstructions (.png, .pdf or .svg), a folder of PNGs under
            the names of the images, or an .npz with images, names, labels and attributes.
        num_images: the first so many; by default 64 on a page, else all.
        own_size: make the PNGs of a folder as large as what the model sees of each file, which is
            as much of its middle as has the model's proportions.
    """
    run.require((contracts.Reconstructs,), "reconstruct")
    if own_size and (out.suffix or not isinstance(inputs, FileInputs)):
        raise UserError("own_size is of files that go into a folder. Pass --images and a folder.")
    wanted = num_images or (GRID if out.suffix in PICTURES else None)
    run.check_request(out, 2 * min(wanted or len(inputs), len(inputs)))
    sizes_of = inputs.own_sizes if own_size and isinstance(inputs, FileInputs) else lambda _: ()

    def parts() -> Iterator[ResultBatch]:
        for batch, names in inputs.shown("reconstructing", wanted):
            images = condition_on(run.model, batch).reconstruct(batch.images)
            known = {"labels": batch.labels, "factors": batch.factors}
            rows = {"original": batch.images, "reconstruction": images}
            yield ResultBatch(names, rows, known, sizes_of(names))

    title = f"Reconstructions by {run.name}"
    return write(out, parts(), title, inputs.class_names, inputs.factor_names)


def encode(run: FinishedRun, inputs: Inputs, out: Path, num_images: int | None = None) -> Path:
    """Write the code of each image.

    Args:
        run: the finished run.
        inputs: the images.
        out: an .npz with codes [N, D], names, labels and attributes, or a .csv with a line an
            image.
        num_images: the first so many; all by default.
    """
    run.require((contracts.Encodes,), "encode")

    def parts() -> Iterator[ResultBatch]:
        for batch, names in inputs.shown("encoding", num_images):
            codes = condition_on(run.model, batch).encode(batch.images).float()
            known = {"codes": codes, "labels": batch.labels, "factors": batch.factors}
            yield ResultBatch(names, {}, known)

    return write(out, parts(), "", inputs.class_names, inputs.factor_names, images=False)


def decode(run: FinishedRun, codes: Path, out: Path, batch_size: int = 256) -> Path:
    """Make images of codes; a UserError where they are of another length than the model's.

    Args:
        run: the finished run.
        codes: an .npz with an array "codes" [N, D], or a .csv with columns z0, z1, ..., as encode
            writes them.
        out: a page (.png, .pdf or .svg), a folder of PNGs, or an .npz with the images.
        batch_size: codes decoded at once.
    """
    run.require((contracts.Decodes,), "decode")
    path = codes.expanduser()
    rows = read_codes(path)[: GRID if out.suffix in PICTURES else None]
    run.check_request(out, len(rows))

    def batches() -> Iterator[tuple[contracts.Images, dict[str, Tensor]]]:
        with expected_length(run, rows, path):
            for part in torch.split(rows, batch_size):
                yield run.model.decode(part.to(run.model.device)), {}

    title = f"{path.name} decoded by {run.name}"
    return write(out, numbered(batches(), len(rows), "decoding"), title)


@contextmanager
def expected_length(run: FinishedRun, codes: Codes, path: Path) -> Iterator[None]:
    """Within, a fault of the decoder is a UserError: the codes have another length than its own."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise UserError(
            f"{path} holds codes of {codes.shape[1]} numbers, and {run.name} takes another length. "
            "Encode with the same run."
        ) from error


def read_codes(path: Path) -> Codes:
    """The codes [N, D] of a file; a UserError where it holds none, or one that is not finite."""
    if not path.is_file() or path.suffix not in (".npz", ".csv"):
        raise UserError(f"expected an .npz or .csv of codes, as encode writes them, got {path}.")
    rows = _array(path, "codes") if path.suffix == ".npz" else _table(path)
    with np.errstate(over="ignore"):
        codes = torch.from_numpy(np.array(rows, dtype=np.float32))
    if len(codes) == 0:
        raise UserError(f"{path} holds no codes, only names of columns. Encode images first.")
    for row in (~codes.isfinite()).any(dim=1).nonzero()[:1].flatten().tolist():
        raise UserError(
            f"{path}: the code in row {row} (the first is 0) is NaN or infinite. Leave it out, or "
            "encode again with another checkpoint."
        )
    return codes


def _array(path: Path, name: str) -> NDArray[Any]:
    """An array [N, D] of numbers in an .npz."""
    try:
        with ZipFile(path) as archive:
            member = archive.getinfo(f"{name}.npy")
            if member.file_size > max(LARGE, DENSE * member.compress_size):
                claimed, real = member.file_size / 1e9, member.compress_size / 1e6
                raise ValueError(f"it claims {claimed:.1f} GB in {real:.1f} MB")
        with np.load(path, allow_pickle=False) as arrays:
            found: NDArray[Any] = arrays[name]
        if found.ndim != 2 or 0 in found.shape or found.dtype.kind not in "fiu":
            raise ValueError(f"it has {found.dtype} of the shape {found.shape}")
    except Exception as error:  # a broken archive raises nearly anything
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{path} is no .npz with an array {name!r} of numbers ({reason}). Make one with "
            f"numpy.savez(path, {name}=array) or lightning-gen encode."
        ) from error
    return found


def _table(path: Path) -> list[list[float]]:
    """The columns z0, z1, ... of a .csv, in this order."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        try:
            found = [name for name in reader.fieldnames or () if re.fullmatch("z[0-9]+", name)]
            columns = [f"z{number}" for number in range(len(found))]
            if not columns or sorted(found) != sorted(columns):
                some = ", ".join(found[:20]) or ", ".join(reader.fieldnames or ())[:100] or "none"
                raise UserError(f"{path}: expected columns z0, z1, ... once each, got {some}.")
            return [[float(line[name]) for name in columns] for line in reader]
        except UserError:
            raise
        except (TypeError, ValueError, csv.Error) as error:  # bytes that are no text among them
            where = reader.line_num
            raise UserError(f"{path}, up to line {where}: expected numbers, {error}.") from error
