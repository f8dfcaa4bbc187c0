"""The options of a verb for finished runs, from the signature of its function."""

import inspect
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

from docstring_parser import parse
from jsonargparse import Namespace

from lightning_gen.cli import VERBS
from lightning_gen.cli.help import COMMON, INPUTS, RUN_HELP
from lightning_gen.cli.messages import explain, nearest
from lightning_gen.cli.parser import BadArgumentsError, Parser
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.inputs import SplitName

LIMITS = {
    "seed": (0, 2**32 - 1),
    "dimensions": (0, 2**31 - 1),
    "batch_size": (1, 2**16),
    "repeats": (1, 10_000),
}
"""The least and the most of options that are no plain count, which begins at 1."""


class VerbParser:
    """Reads the words of a verb.

    ``run`` and ``runs`` are what comes first; ``inputs`` is asked for by ``--images`` or
    ``--split``; a function that takes a FinishedRun has the COMMON options too.

    Args:
        verb: its name.
        function: its function, with a docstring that says what each argument is.
        default_out: the file that it writes where the user names none.
    """

    def __init__(self, verb: str, function: Callable[..., Any], default_out: str) -> None:
        self.verb = verb
        self.asked = inspect.signature(function).parameters
        self.loads = any(each.annotation is FinishedRun for each in self.asked.values())
        self._helps = {p.arg_name: p.description for p in parse(function.__doc__ or "").params}
        about = f"{VERBS[verb].summary}: lightning-gen {VERBS[verb].example}"
        self._parser = Parser(prog=f"lightning-gen {verb}", description=about)
        self._add_arguments(function, default_out)

    def read(self, words: list[str]) -> Namespace:
        """The options.

        Raises:
            BadArgumentsError: one is missing, unknown, or of the wrong type.
        """
        try:
            options = self._parser.parse_args(words)
        except BadArgumentsError as error:
            raise BadArgumentsError(self._complaint(error)) from error
        for name, value in vars(options).items():
            for number in value if isinstance(value, list) else [value]:
                if isinstance(number, int) and not isinstance(number, bool):
                    check_size(name, number)
        return options

    def _add_arguments(self, function: Callable[..., Any], default_out: str) -> None:
        add = self._parser.add_argument
        if "run" in self.asked:
            add("run", type=str if self.loads else Path, help=RUN_HELP)
        if "runs" in self.asked:
            add("runs", nargs="+", type=str, help=RUN_HELP)
        lists = {name: kind for name in self.asked if (kind := self._item(name)) is not None}
        elsewhere: set[str | int] = {"run", "runs", "inputs", "out", *lists}
        self._parser.add_function_arguments(
            function, as_group=False, as_positional=True, skip=elsewhere
        )
        for name, kind in lists.items():
            default = self.asked[name].default
            default = list(default) if isinstance(default, tuple) else default
            add(f"--{name}", nargs="+", type=kind, default=default, help=self._helps[name])
        if "inputs" in self.asked:
            add("--images", type=Path | None, help=INPUTS["images"])
            add("--split", type=SplitName, default="test", help=INPUTS["split"])
        place = " in the run's directory" if "run" in self.asked else " beside the first run"
        about = f"{self._helps['out']} Default: {default_out}{place}."
        add("--out", type=Path | None, help=about)
        for name, option in COMMON.items():
            if self.loads and name not in self.asked:
                add(f"--{name}", type=option.type, default=option.default, help=option.help)

    def _item(self, name: str) -> type | None:
        """The type of one of the words that an argument takes; None where it takes one word."""
        annotation = self.asked[name].annotation
        kinds = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
        return next((get_args(kind)[0] for kind in kinds if get_origin(kind) is Sequence), None)

    def _complaint(self, error: BadArgumentsError) -> str:
        """What is wrong with the words, in one line."""
        text = " ".join(str(error).split())
        if missing := re.search(r"arguments are required: (.+)", text):
            example = VERBS[self.verb].example
            return f"{missing[1]} missing, expected for instance: lightning-gen {example}"
        unknown = r"(?:does not accept option|unrecognized arguments:) '?(-*)([^\s=']+)"
        found = re.search(unknown, text)
        if found is None:
            return explain(text, error)
        if not found[1]:
            return f"{found[2]} is one word too many. Quote a name that has blanks."
        options = [action.dest for action in self._parser._actions if action.option_strings]
        return f"{found[2]} is no option{nearest(found[2], options)}"


def check_size(name: str, number: int) -> None:
    """Raise a BadArgumentsError where a number is below or above what an option can take."""
    least, most = LIMITS.get(name, (1, 2**31 - 1))
    if number < least:
        raise BadArgumentsError(f"--{name} is at least {least}, got {number}.")
    if number > most:
        raise BadArgumentsError(f"--{name} is at most {most:,}, got {number:.3g}.")
