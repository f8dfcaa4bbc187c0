"""The verbs for finished runs: each is a function, whose arguments are its options."""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jsonargparse import Namespace

from lightning_gen.cli.outcome import outcome
from lightning_gen.cli.parser import BadArgumentsError
from lightning_gen.cli.verb_parser import VerbParser
from lightning_gen.errors import UserError
from lightning_gen.runs.file_inputs import FileInputs
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.inputs import Inputs, SplitInputs


class Task(NamedTuple):
    """Where the function of a verb is, and which file it writes into the run's directory."""

    module: str
    default_out: str

    def function(self, verb: str) -> Callable[..., Path]:
        """The function, which gives back what it wrote."""
        module = import_module(f"lightning_gen.runs.{self.module}")
        found: Callable[..., Path] = getattr(module, verb)
        return found


TASKS = {
    "sample": Task("sampling", "sample.png"),
    "reconstruct": Task("coding", "reconstruct.png"),
    "encode": Task("coding", "codes.npz"),
    "decode": Task("coding", "decode.png"),
    "interpolate": Task("latent_pictures", "interpolate.png"),
    "traverse": Task("latent_pictures", "traverse.png"),
    "arithmetic": Task("latent_pictures", "arithmetic.png"),
    "probe": Task("probe", "probe.csv"),
    "report": Task("pages.report", "report.html"),
    "compare": Task("pages.compare", "compare.html"),
}


def run(words: list[str]) -> int:
    """Run a verb; the exit code."""
    verb, *rest = words
    return outcome(verb, lambda: work(verb, rest))


def work(verb: str, words: list[str]) -> None:
    """Parse the words, do what the verb does, and say where the result is."""
    task = TASKS[verb]
    function = task.function(verb)
    parser = VerbParser(verb, function, task.default_out)
    options = parser.read(words)
    try:
        options.out = own_place(options.out)
        given = {name: options[name] for name in parser.asked if name in options}
        if parser.loads:
            given |= load(options, parser.asked, task.default_out)
        written = function(**{name: value for name, value in given.items() if value is not None})
    except UserError as error:
        raise BadArgumentsError(str(error)) from error
    except OSError as error:
        raise UserError(f"{error}. Pass another --out.") from error
    inputs = given.get("inputs")
    if isinstance(inputs, Inputs) and inputs.note():
        print(inputs.note())
    print(written)


def own_place(out: Path | None) -> Path | None:
    """Where the result goes, ``~`` resolved.

    Raises:
        UserError: it is the working directory or one above it, or no place at all.
    """
    if out is None:
        return None
    try:
        place = out.expanduser()
        full = place.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # no such user, links in a circle
        raise UserError(f"--out {out}: {error}. Pass another one.") from error
    if Path.cwd().is_relative_to(full) or full == Path.home():
        raise UserError(
            f"--out takes a file, or a folder of its own, and files would be scattered in "
            f"{str(out)!r}. Pass for instance --out results."
        )
    return place


def load(options: Namespace, asked: Mapping[str, Any], default_out: str) -> dict[str, Any]:
    """The run, the images that it is asked about, and where the result goes.

    Raises:
        UserError: there is no such run, device or file.
    """
    torch.manual_seed(options.seed)
    run = FinishedRun.open(options.run, options.device)
    found: dict[str, Any] = {"run": run, "out": options.out or run.path / default_out}
    if "inputs" not in asked:
        return found
    if options.images is None:
        return found | {"inputs": SplitInputs(run, options.split, options.batch_size)}
    return found | {"inputs": FileInputs(run, options.images, options.batch_size)}
