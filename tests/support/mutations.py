"""Configurations with random mistakes in them, and what the command says of each."""

import contextlib
import copy
import io
import logging
import random
import resource
import signal
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import yaml

from lightning_gen.cli.known import PARTS, ROOMS
from lightning_gen.parts import buildable
from support.command import CONF, MINI_DATA, SMALL_MODEL, TWO_BATCHES

SECONDS = 60
"""A command that takes longer hangs; a valid one takes two."""
GIGABYTES = 4
"""What a command may take beside what the process has: no more than a laptop can give."""

ODD = (
    *(None, True, False, 0, 1, -1, 2, 3, 7, -7, 0.5, -0.5, 1e-30, 1e30, 10**6, 10**9, 10**30),
    *(float("nan"), float("inf"), float("-inf"), "", " ", "nonsense", "0.1", "null", "a: b: c"),
    *("@#%", "ünï ☃", "x" * 500, "logs", "no/such/file.yaml", "model.yaml", "[1, 2", "*", "&a"),
    *([], [None], [0], [-1], [1, 2, 3], ["a", 1], [[]], [[1], [2]], {}, {"a": 1}, {"": None}),
    *({"class_path": None}, {"class_path": "VAE"}, {"class_path": 3}, {"class_path": []}),
    *({"init_args": {}}, {"class_path": "VAE", "init_args": 3}, {"init_args": [1]}, {1: 2}),
    *({"class_path": "torch.nn.ReLU", "init_args": {"inplace": True}}, {"a": {"b": {"c": 1}}}),
)
STRANGE = (
    *("nonsense", "no.such.Class", "torch.nn", "torch.nn.Nonsense", "torch.optim.Adam"),
    "os.system",
    *("torch.nn.Tanh", "torch.nn.Conv2d", "torch.optim.lr_scheduler.StepLR", "builtins.dict", "."),
    *("lightning_gen", "lightning_gen.models", "lightning_gen.models.VEA", "lightning_gen..models"),
    *("lightning.pytorch.callbacks.EarlyStopping", "lightning.pytorch.loggers.CSVLogger", "a b"),
    *("lightning.pytorch.callbacks.Callback", "torch.nn.Module", "torch.optim.Optimizer", "1.2"),
)
CLASSES = (
    *(f"{part.__module__}.{part.__name__}" for part in buildable(*ROOMS.values(), *PARTS)),
    *STRANGE,
)
LETTERS = "[]{}:,-#&*!|>'\"%@`\n\t \0x?"
CHEAP = (
    *TWO_BATCHES,
    *("--trainer.num_nodes", "1", "--trainer.strategy", "auto", "--test_after_fit", "true"),
)
DRY = ("--trainer.fast_dev_run", "true")


class Answer(NamedTuple):
    """What became of a command; ``fault`` is empty where it behaved."""

    code: int | None
    line: str
    fault: str


class HangError(BaseException):
    """The command took too long; no ``except Exception`` takes it for its own."""


def bases() -> list[tuple[str, object, tuple[str, ...]]]:
    """Every file below conf/: its name, its content, in a form that trains for a second at most,
    and the words of the command, with FILE in the place of the file."""
    found = []
    model, data = SMALL_MODEL, (*MINI_DATA, "--data.batch_size", "4")
    parts = {
        "model": ("--model", "FILE", *data),
        "data": (*model, "--data", "FILE"),
        "trainer": (*model, *data, "--trainer", "FILE"),
        "logger": (*model, *data, "--trainer.logger", "FILE"),
    }
    for path in sorted(CONF.rglob("*.yaml")):
        content = yaml.safe_load(path.read_text())
        match path.parent.name:
            case part if part in parts:
                words = ("fit", *parts[part], *CHEAP)
            case "sweep":
                content["config"] = str((path.parent / content["config"]).resolve())
                words = ("sweep", "FILE", "--write-wandb", "wandb.yaml")
            case _ if path.stem == "reproduce":
                content = dict(list(content.items())[:3])
                for row in content.values():
                    row["config"] = str((path.parent / row["config"]).resolve())
                words = ("reproduce", "--list", "--table", "FILE")
            case _:
                content = cheap(path, content)
                words = ("fit", "--config", "FILE", *CHEAP)
        found.append((path.stem, content, words))
    return found


def cheap(path, content):
    """An experiment with data that is always there, and with few draws."""
    for part in ("model", "data"):
        if isinstance(content[part], str) and content[part].endswith(".yaml"):
            content[part] = yaml.safe_load((path.parent / content[part]).read_text())
    data = content["data"]
    kind = "MiniFashionMNIST" if data["class_path"].endswith("MNIST") else "Shapes"
    arguments = data["init_args"] | {"batch_size": 4}
    kept = [key for key in ("batch_size", "val_fraction", "binarize") if key in arguments]
    content["data"] = {
        "class_path": f"lightning_gen.data.{kind}",
        "init_args": {key: arguments[key] for key in kept},
    }
    for callback in content["trainer"].get("callbacks") or ():
        if isinstance(callback, dict) and "num_samples" in callback.get("init_args", {}):
            callback["init_args"]["num_samples"] = 4
    return content


def mutants(seed: int, number: int) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """So many configurations with one, two or three mistakes, as text; what was done; the words."""
    draw = random.Random(seed)
    shipped = bases()
    for _ in range(number):
        name, content, words = draw.choice(shipped)
        tree = {"": copy.deepcopy(content)}
        said = [draw.choice(TREE)(tree, draw) for _ in range(draw.choice((0, 1, 1, 1, 2, 3)))]
        text = yaml.safe_dump(tree[""], sort_keys=False, allow_unicode=True)
        if not said:
            text, *said = broken(text, draw)
        words += DRY if words[0] == "fit" and draw.random() < 0.7 else ()
        yield text, f"{name}: {'; '.join(said)}", words


def places(node, kind=object):
    """(container, key) of every node of a kind below ``node``."""
    keys = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in list(keys):
        if isinstance(node[key], kind):
            yield node, key
        yield from places(node[key], kind)


def place(tree, draw, kind=object):
    """One of them; the whole tree only where it has no other."""
    found = list(places(tree, kind))
    inner = [each for each in found if each[0] is not tree]
    return draw.choice(inner or found or [(tree, "")])


def delete(tree, draw):
    node, key = place(tree, draw)
    del node[key]
    if not tree:
        tree[""] = None
    return f"delete {key}"


def misspell(tree, draw):
    node, key = place(tree, draw)
    if not isinstance(key, str) or not key:
        return "nothing"
    at = draw.randrange(len(key))
    typo = draw.choice(
        (key[:at] + key[at + 1 :], key[:at] + "x" + key[at:], key.upper(), key + "s")
    )
    items = list(node.items())
    node.clear()
    node.update((typo if name == key else name, value) for name, value in items)
    return f"{key} becomes {typo}"


def change(tree, draw, kind=object):
    node, key = place(tree, draw, kind)
    node[key] = copy.deepcopy(draw.choice(ODD))
    return f"{key} is {node[key]!r}"[:120]


def change_leaf(tree, draw):
    return change(tree, draw, str | int | float | bool | None)


def swap(tree, draw):
    (one, first), (other, second) = place(tree, draw), place(tree, draw)
    value = copy.deepcopy(one[first])
    one[first] = copy.deepcopy(other[second])
    if second in other or isinstance(other, list):
        other[second] = value
    return f"{first} and {second} change places"


def duplicate(tree, draw):
    (one, first), (other, _) = place(tree, draw, dict | list), place(tree, draw)
    block = copy.deepcopy(one[first])
    if isinstance(other, dict):
        other[first if isinstance(first, str) and first else "again"] = block
    else:
        other.append(block)
    return f"{first} a second time"


def rename_class(tree, draw):
    found = [
        (node, key)
        for node, key in places(tree, str)
        if key == "class_path" or str(node[key]).startswith(("lightning", "torch", "optuna"))
    ]
    if not found:
        return change(tree, draw)
    node, key = draw.choice(found)
    node[key] = draw.choice(CLASSES)
    return f"{key} is {node[key]}"


def flatten(tree, draw):
    node, key = place(tree, draw, dict | list)
    node[key] = draw.choice((3, "text", True, 0.5, None, "lightning_gen.models.VAE"))
    return f"{key} is the scalar {node[key]!r}"


def add(tree, draw):
    node, _ = place(tree, draw)
    key = draw.choice(("extra", "class_path", "init_args", "lr", "trainer", "1", 5, "a.b", "help"))
    if isinstance(node, dict) and node is not tree:
        node[key] = copy.deepcopy(draw.choice(ODD))
        return f"a new {key}: {node[key]!r}"[:120]
    return change(tree, draw)


TREE = (delete, misspell, change, change_leaf, change_leaf, change_leaf, swap, duplicate,
        rename_class, rename_class, flatten, add)  # fmt: skip


def broken(text, draw):
    """A text of which a character or a line is lost, doubled, or of another kind."""
    at = draw.randrange(len(text))
    letter, lines = draw.choice(LETTERS), text.splitlines(keepends=True)
    match draw.randrange(5):
        case 0:
            return text[:at] + text[at + 1 :], f"without character {at}"
        case 1:
            return text[:at] + letter + text[at:], f"{letter!r} at character {at}"
        case 2:
            return text[:at], f"cut off at character {at}"
        case 3:
            lines.insert(draw.randrange(len(lines)), draw.choice(lines))
            return "".join(lines), "a line twice"
        case _:
            row = draw.randrange(len(lines))
            lines[row] = draw.choice((" ", "  ", "\t")) + lines[row]
            return "".join(lines), f"line {row} indented"


@contextmanager
def bounded():
    """Little time and memory, and no network."""

    def hang(number, frame):
        raise HangError

    before = signal.signal(signal.SIGALRM, hang)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    most = pages * resource.getpagesize() + GIGABYTES * 2**30
    resource.setrlimit(resource.RLIMIT_AS, (most, limits[1]))
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.signal(signal.SIGALRM, before)


def observed(main, words) -> Answer:
    """Run a command; what it did, and what is wrong with that."""
    out, err = io.StringIO(), io.StringIO()
    code, fault = None, ""
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(out):
            warnings.simplefilter("ignore")
            with contextlib.redirect_stderr(err), bounded():
                code = main(words)
    except HangError:
        fault = f"longer than {SECONDS} s"
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        where = [f"{f.filename.rpartition('/')[2]}:{f.lineno} {f.name}" for f in frames]
        own = [w for w, f in zip(where, frames, strict=True) if "lightning_gen/" in f.filename]
        text = " ".join(str(error).split())[:300]
        fault = f"{type(error).__name__}: {text} [{own[-1] if own else ''}; {where[-1]}]"
    finally:
        logging.disable(logging.NOTSET)
    lines = [line for line in err.getvalue().splitlines() if line.strip()]
    return Answer(code, " | ".join(lines), fault or judged(code, lines, words))


def judged(code, lines, words) -> str:
    """What is wrong with an exit code and the lines on stderr."""
    if code == 0:
        return ""
    if code not in (1, 2):
        return f"exit code {code}"
    if len(lines) != 1:
        return f"{len(lines)} lines"
    if not lines[0].startswith(f"lightning-gen {words[0]}: "):
        return "the line does not name the verb"
    return f"a line of {len(lines[0])} characters" if len(lines[0]) > 1000 else ""
