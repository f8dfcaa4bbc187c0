"""The explorer as one file that works from disk: the networks run in the page, by ONNX Runtime."""

import base64
import gzip
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from lightning_gen.atomic import write_text
from lightning_gen.errors import UserError
from lightning_gen.runs.explore.gather import Explored, draw_codes, packed
from lightning_gen.runs.explore.page import page_of
from lightning_gen.runs.export import write_graph

FILES = {"library": "ort.wasm.bundle.min.mjs", "wasm": "ort-wasm-simd-threaded.wasm"}
LARGEST = 60_000_000
"""Bytes of a page: a browser needs several times as many to open it."""
TEMPERATURES = (0.4, 0.7, 1.0)
DRAWS = 200
"""Codes of the prior that the page has of each temperature, since not every prior is a graph."""


def write_static(explored: Sequence[Explored], out: Path, library: Path) -> Path:
    """Write the page; a UserError says that a network cannot be in it, or that it is too large."""
    inside: dict[str, Any] = {name: zipped(file_of(library, file)) for name, file in FILES.items()}
    graphs: dict[str, str] = {}
    with TemporaryDirectory() as folder, torch.no_grad():
        for number, each in enumerate(explored):
            place = Path(folder) / str(number)
            for name, graph in each.graphs.items():
                if number == 0 or name == "decode":
                    write_graph(each.run.model, graph, place, "onnx")
                    graphs[f"{name}{number}"] = zipped((place / f"{name}.onnx").read_bytes())
    first = explored[0]
    if first.about["draws"]:
        kept = TEMPERATURES if first.about["cools"] else (1.0,)
        inside["draws"] = {t: packed(draw_codes(first.run, DRAWS, t)) for t in kept}
    text = page_of(explored, inside, graphs)
    if len(text) > LARGEST:
        raise UserError(
            f"{out} would have {len(text) / 1e6:.0f} MB, and a page has {LARGEST / 1e6:.0f} at "
            f"most. Without --out lightning-gen explore {first.run.name} serves it."
        )
    write_text(out, text)
    return out


def file_of(library: Path, name: str) -> bytes:
    """A file of ONNX Runtime Web; a UserError where it is not there."""
    try:
        return (library / "dist" / name).read_bytes()
    except OSError as error:
        raise UserError(
            f"{error.filename} cannot be read ({error.strerror}). Run: npm install onnxruntime-web"
        ) from error


def zipped(content: bytes) -> str:
    """Bytes as base64, made smaller before."""
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()
