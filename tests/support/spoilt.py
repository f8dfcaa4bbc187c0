"""Run directories with random faults in them."""

import json
import random
import shutil
from functools import partial

import torch
import yaml

from support.mutations import TREE

CELLS = ("nan", "inf", "-inf", "1e308", "-1e308", "1e400", "x", "", "9" * 5000, "-1", "1e30", "'")
BYTES = (b"", b"\0", b"\xff\xfe", b'"', b"\n", b"," * 50, b"x" * 200_000, b"{", b"\r", b"&a [*a]")

VERSION = "pytorch-lightning_version"


def spoil(run, draw: random.Random) -> str:
    """Do something to a run directory; what was done."""
    change = draw.choice((*(some_bytes,) * 2, *(tree,) * 3, *(cells,) * 2, weights, place, images))
    try:
        return f"{change.__name__}: {change(run, draw)}"
    except Exception:  # the fault before has left nothing that could be read
        return f"{change.__name__}: nothing more"


def some_bytes(run, draw):
    """A file has other bytes, or ends early."""
    names = ("config.yaml", "metrics.csv", "metrics.json", "environment.json")
    path = run / draw.choice((*names, "checkpoints/best.ckpt"))
    content = path.read_bytes()
    at = draw.randrange(len(content))
    noise = draw.choice((*BYTES, draw.randbytes(20)))
    left = draw.choice((0, len(content) - at, max(0, len(content) - at - len(noise))))
    path.write_bytes(content[:at] + noise + content[len(content) - left :])
    return f"{path.name} has {noise[:10]!r} at {at}, and {left} more bytes"


def tree(run, draw):
    """A value of a file of keys and values is another, or gone."""
    path = run / draw.choice(("config.yaml", "metrics.json", "environment.json", "best.ckpt"))
    if path.name == "best.ckpt":
        path = run / "checkpoints" / path.name
        content = torch.load(path, weights_only=True)
        node = {"": content[draw.choice(["hyper_parameters", "loops", "callbacks"])]}
        said = draw.choice(TREE)(node, draw)
        torch.save(content | {"hyper_parameters": node.get("")}, path)
        return f"{path.name}: {said}"
    dump = partial(json.dumps, default=str, skipkeys=True)
    read, write = (yaml.safe_load, yaml.safe_dump) if path.suffix == ".yaml" else (json.loads, dump)
    node = {"": read(path.read_text())}
    said = "; ".join(draw.choice(TREE)(node, draw) for _ in range(draw.choice((1, 1, 2))))
    path.write_text(write(node.get("")))
    return f"{path.name}: {said}"


def cells(run, draw):
    """A cell of metrics.csv is odd, or a column is missing."""
    path = run / "metrics.csv"
    lines = [line.split(",") for line in path.read_text().splitlines()]
    column = draw.randrange(len(lines[0]))
    if draw.random() < 0.3:
        lines, said = [x[:column] + x[column + 1 :] for x in lines], f"no column {column}"
    else:
        row, cell = draw.randrange(len(lines)), draw.choice(CELLS)
        lines[row][column], said = cell, f"{cell[:10]!r} in row {row}, column {column}"
    path.write_text("".join(",".join(line) + "\n" for line in lines))
    return said


def weights(run, draw):
    """A checkpoint that is no number, of another version, or lacks something."""
    path = run / "checkpoints" / "best.ckpt"
    content = torch.load(path, weights_only=True)
    key = draw.choice(("value", "version", "lack", "shape"))
    name = draw.choice(list(content["state_dict"]))
    if key == "value":
        content["state_dict"][name].view(-1)[0] = draw.choice((float("nan"), float("-inf")))
    elif key == "version":
        content[VERSION] = draw.choice(("0.1", "9.9.9", "", None, 3, "x"))
    elif key == "lack":
        name = draw.choice(list(content))
        del content[name]
    else:
        content["state_dict"][name] = torch.ones(3, 2)
    torch.save(content, path)
    return f"{key} {name}"


def place(run, draw):
    """Something of another kind stands in the place of a file or folder."""
    names = ("best.ckpt", "last.ckpt", "metrics.csv", "metrics.json", "environment.json", "images")
    name = draw.choice(names)
    path = run / "checkpoints" / name if name.endswith(".ckpt") else run / name
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    kind = draw.choice(("folder", "circle", "dangling", "file", "nothing"))
    if kind == "folder":
        path.mkdir()
    elif kind == "file":
        path.write_bytes(draw.randbytes(30))
    elif kind != "nothing":
        path.symlink_to(path if kind == "circle" else run / "nowhere")
    return f"{name} is a {kind}"


def images(run, draw):
    """The folder of pictures holds odd things."""
    name = draw.choice(("samples", "of_my_own", "x" * 200, "ä b", "<b>", "circle"))
    folder = run / "images" / name
    if name == "circle":
        folder.symlink_to(folder)
        return name
    folder.mkdir(exist_ok=True)
    stem = draw.choice(("²", "١٢", "", "9" * 200, "00000001", "nan", "-1", " "))
    picture = folder / f"{stem}.png"
    kind = draw.choice(("noise", "folder", "cut"))
    if kind == "folder":
        picture.mkdir()
    elif kind == "noise":
        picture.write_bytes(draw.randbytes(50))
    else:
        whole = next((run / "images").rglob("0*.png")).read_bytes()
        picture.write_bytes(whole[: draw.randrange(len(whole))])
    return f"{picture.name[:20]} is {kind}"


def spoilt_copies(run, folder, seed: int, number: int):
    """So many copies of a run with one or two faults, one after the other, and what they are."""
    draw = random.Random(seed)
    for _ in range(number):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(run, folder)
        said = [spoil(folder, draw) for _ in range(draw.choice((1, 1, 2)))]
        yield folder, "; ".join(said), draw
