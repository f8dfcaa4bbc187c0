"""The verbs for finished runs: each is a function, whose arguments are its options."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

import torch
from docstring_parser import parse
from jsonargparse import Namespace

from lightning_gen.cli import VERBS
from lightning_gen.cli.help import COMMON, INPUTS, RUN_HELP
from lightning_gen.cli.messages import OPTION, REQUIRED, explain
from lightning_gen.cli.outcome import outcome
from lightning_gen.cli.parser import Parser
from lightning_gen.errors import BadArgumentsError, UserError, bad_arguments, nearest
from lightning_gen.runs.file_inputs import FileInputs
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.inputs import Inputs, SplitInputs, SplitName

LIMITS = {
    "seed": (0, 2**32 - 1),
    "dimensions": (0, 2**31 - 1),
    "batch_size": (1, 2**16),
    "repeats": (1, 10_000),
}
"""The least and the most of options that are no plain count, which begins at 1."""


def run(words: list[str]) -> int:
    """Run a verb; the exit code."""
    return outcome(words[0], lambda: work(*words))


def work(verb: str, *words: str) -> None:
    """Parse the words, do what the verb does, and say where the result is."""
    function = function_of(verb)
    asked = inspect.signature(function).parameters
    options = read(verb, function, words)
    try:
        with bad_arguments():
            options.out = own_place(options.out)
            given = {name: options[name] for name in asked if name in options}
            if loads(asked):
                given |= load(options, asked, VERBS[verb].out)
            places = given.pop("runs", ())
            written = function(*places, **{k: v for k, v in given.items() if v is not None})
    except OSError as error:
        raise UserError(f"{error}. Pass another --out.") from error
    inputs = given.get("inputs")
    if isinstance(inputs, Inputs) and inputs.note():
        print(inputs.note())
    print(written)


def function_of(verb: str) -> Callable[..., Path]:
    """The function of a verb, which gives back what it wrote."""
    module = import_module(f"lightning_gen.runs.{VERBS[verb].module}")
    found: Callable[..., Path] = getattr(module, verb)
    return found


def loads(asked: Mapping[str, inspect.Parameter]) -> bool:
    """Whether a function takes a run that is loaded; its verb has the COMMON options too."""
    return any(each.annotation is FinishedRun for each in asked.values())


def read(verb: str, function: Callable[..., Any], words: Sequence[str]) -> Namespace:
    """The options of a verb; a BadArgumentsError where one is missing, unknown or no such value."""
    parser = verb_parser(verb, function)
    try:
        options = parser.parse_args([*words])
    except BadArgumentsError as error:
        text = str(error)
        if missing := REQUIRED.search(text):
            example = VERBS[verb].example
            text = f"{missing[1]} missing, expected for instance: lightning-gen {example}"
        elif (unknown := OPTION.search(text)) and unknown[1]:
            known = vars(parser.get_defaults())
            text = f"{unknown[2]} is no option{nearest(unknown[2], known)}"
        elif unknown:
            text = f"{unknown[2]} is one word too many. Quote a name that has blanks."
        else:
            text = explain(text, error)
        raise BadArgumentsError(text) from error
    for name, value in vars(options).items():
        least, most = LIMITS.get(name, (1, 2**31 - 1))
        for number in value if isinstance(value, list) else [value]:
            if type(number) is int and number < least:  # and no bool
                raise BadArgumentsError(f"--{name} is at least {least}, got {number}.")
            if type(number) is int and number > most:
                raise BadArgumentsError(f"--{name} is at most {most:,}, got {number:.3g}.")
    return options


def verb_parser(verb: str, function: Callable[..., Any]) -> Parser:
    """The options of a verb, from the signature and the docstring of its function.

    ``run`` and ``runs`` are what comes first; ``inputs`` is asked for by ``--images`` or
    ``--split``.
    """
    asked = inspect.signature(function).parameters
    helps = {p.arg_name: p.description for p in parse(function.__doc__ or "").params}
    about = f"{VERBS[verb].summary}: lightning-gen {VERBS[verb].example}"
    parser = Parser(prog=f"lightning-gen {verb}", description=about)
    add = parser.add_argument
    if "run" in asked:
        add("run", type=str if loads(asked) else Path, help=RUN_HELP)
    if "runs" in asked:
        add("runs", nargs="+", type=str, help=RUN_HELP)
    lists = {name: kind for name in asked if (kind := item_type(asked[name].annotation))}
    elsewhere: set[str | int] = {"run", "runs", "inputs", "out", *lists}
    parser.add_function_arguments(function, as_group=False, as_positional=True, skip=elsewhere)
    for name, kind in lists.items():
        default = asked[name].default
        default = list(default) if isinstance(default, tuple) else default
        add(f"--{name}", nargs="+", type=kind, default=default, help=helps[name])
    if "inputs" in asked:
        add("--images", type=Path | None, help=INPUTS["images"])
        add("--split", type=SplitName, default="test", help=INPUTS["split"])
    add("--out", type=Path | None, help=helps["out"])
    for name, option in COMMON.items():
        if loads(asked) and name not in asked:
            add(f"--{name}", type=option.type, default=option.default, help=option.help)
    return parser


def item_type(annotation: Any) -> type | None:  # noqa: ANN401  (a type of any form)
    """The type of one of the words that an argument takes; None where it takes one word."""
    kinds = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    return next((get_args(kind)[0] for kind in kinds if get_origin(kind) is Sequence), None)


def own_place(out: Path | None) -> Path | None:
    """Where the result goes, ``~`` resolved; a UserError at a folder that holds the working one."""
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
    """The run, its images, and where the result goes; a UserError where one of them is missing."""
    torch.manual_seed(options.seed)
    run = FinishedRun.open(options.run, options.device)
    found: dict[str, Any] = {"run": run, "out": options.out or run.path / default_out}
    if "inputs" not in asked:
        return found
    if options.images is None:
        return found | {"inputs": SplitInputs(run, options.split, options.batch_size)}
    return found | {"inputs": FileInputs(run, options.images, options.batch_size)}
