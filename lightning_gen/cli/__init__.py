"""The command ``lightning-gen VERB ...``.

This file imports nothing heavy: ``--help`` answers at once, and torch and Lightning are loaded only
when a verb needs them.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import version
from typing import NamedTuple


class Verb(NamedTuple):
    """One thing that the command does."""

    module: str
    summary: str
    example: str


TRAINING = "lightning_gen.cli.training"
VERBS = {
    "fit": Verb(
        TRAINING,
        "train a model, then evaluate it on the test split",
        "fit --config conf/quickstart.yaml",
    ),
    "validate": Verb(
        TRAINING,
        "evaluate a checkpoint on the validation split",
        "validate logs/quickstart/version_0",
    ),
    "test": Verb(
        TRAINING,
        "evaluate a checkpoint on the test split",
        "test logs/quickstart/version_0",
    ),
    "predict": Verb(
        TRAINING,
        "write the codes of the test split to a file",
        "predict logs/quickstart/version_0/checkpoints/last.ckpt",
    ),
}

HELP = """\
usage: lightning-gen VERB ...      (or: python -m lightning_gen VERB ...)

Experiments with generative image models on PyTorch Lightning.

verbs:
{verbs}

examples:
  lightning-gen fit --config conf/quickstart.yaml
  lightning-gen fit --model conf/model/vae.yaml --data conf/data/mnist.yaml --trainer.max_epochs 5
  lightning-gen test logs/quickstart/version_0

lightning-gen VERB --help lists all options of a verb; lightning-gen --version tells the version.
Set LIGHTNING_GEN_TRACEBACK=1 to see the traceback of an error.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run a verb.

    Args:
        arguments: the words after ``lightning-gen``; those of the process by default.

    Returns:
        The exit code: 0, 1 (failed) or 2 (bad arguments).
    """
    words = sys.argv[1:] if arguments is None else arguments
    if not words or words[0] in {"-h", "--help", "help"}:
        print(help_text(), end="")
        return 0 if words else 2
    if words[0] == "--version":
        print(f"lightning-gen {version('lightning-gen')}")
        return 0
    verb = VERBS.get(words[0])
    if verb is None:
        close = get_close_matches(words[0], VERBS, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"Choose among {', '.join(VERBS)}."
        print(f"lightning-gen: there is no verb {words[0]}. {hint}", file=sys.stderr)
        return 2
    with importable(os.getcwd()):
        return int(import_module(verb.module).run(words))


@contextmanager
def importable(folder: str) -> Iterator[None]:
    """A class in a file of this folder can be named in a configuration."""
    path = sys.path.copy()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path[:] = path


def help_text() -> str:
    """What ``lightning-gen --help`` prints."""
    verbs = "\n".join(f"  {name:<10} {verb.summary}" for name, verb in VERBS.items())
    return HELP.format(verbs=verbs)
