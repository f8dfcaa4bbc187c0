"""Tensors and plain values in one ``.safetensors`` file: to read it runs nothing."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from lightning_gen.atomic import draft
from lightning_gen.errors import UserError

ENDING = ".safetensors"
KEY = "lightning_gen"
"""Of the file's metadata: the plain values as JSON, and the order of the tensors."""


def write_safe(path: Path, tensors: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Write tensors by name, and plain values about them; a UserError names what is no tensor."""
    for name, value in tensors.items():
        if not isinstance(value, Tensor):
            kind = type(value).__name__
            raise UserError(f"{name} is a {kind}, and {path.name} holds tensors alone. Keep a run.")
    header = {"format": "pt", KEY: json.dumps({**about, "names": [*tensors]})}
    whole = {name: value.detach().clone().contiguous() for name, value in tensors.items()}
    with draft(path) as unfinished:
        save_file(whole, unfinished, header)


def read_safe(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors, in their order, and the plain values; a broken file raises nearly anything."""
    with safe_open(path, framework="pt") as file:
        about: dict[str, Any] = json.loads(file.metadata()[KEY])
        names = about.pop("names")
        if sorted(names) != sorted(file.keys()):
            raise ValueError("its header names other tensors than it holds")
        return {name: file.get_tensor(name) for name in names}, about
