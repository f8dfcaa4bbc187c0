"""The verbs for a finished run: each is a function, whose arguments are its options."""

import inspect
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin

import torch
from docstring_parser import parse
from jsonargparse import Namespace

from lightning_gen.cli import VERBS
from lightning_gen.cli.messages import explain
from lightning_gen.cli.outcome import outcome
from lightning_gen.cli.parser import BadArgumentsError, Parser
from lightning_gen.errors import UserError
from lightning_gen.runs.file_inputs import FileInputs
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.inputs import Inputs, SplitInputs
from lightning_gen.runs.splits import SplitName


class Task(NamedTuple):
    """The function of a verb, and the file that it writes into the run directory by default."""

    module: str
    default_out: str

    def function(self, verb: str) -> Callable[..., Path]:
        """The function, which gives back what it wrote."""
        found: Callable[..., Path] = getattr(
            import_module(f"lightning_gen.runs.{self.module}"), verb
        )
        return found


TASKS = {
    "sample": Task("sampling", "sample.png"),
    "reconstruct": Task("coding", "reconstruct.png"),
    "encode": Task("coding", "codes.npz"),
    "decode": Task("coding", "decode.png"),
}
RUN_HELP = "run directory, checkpoint, or the name of a run (its latest version)"


def run(words: list[str]) -> int:
    """Run a verb; the exit code."""
    verb, *rest = words
    return outcome(verb, lambda: work(verb, rest))


def work(verb: str, words: list[str]) -> None:
    """Parse the words, load the run, do what the verb does, and say where the result is."""
    task = TASKS[verb]
    function = task.function(verb)
    parser = parser_of(verb, function, task.default_out)
    try:
        options = parser.parse_args(words)
    except BadArgumentsError as error:
        raise BadArgumentsError(explain(str(error), error)) from error
    torch.manual_seed(options.seed)
    try:
        arguments, note = prepare(function, options, task.default_out)
        written = function(**arguments)
    except UserError as error:
        raise BadArgumentsError(str(error)) from error
    except OSError as error:
        raise UserError(f"{error}. Pass another --out.") from error
    if note():
        print(note())
    print(written)


def parser_of(verb: str, function: Callable[..., Any], default_out: str) -> Parser:
    """The options of a verb: those of its function, and those that all verbs share."""
    example = VERBS[verb].example
    parser = Parser(
        prog=f"lightning-gen {verb}",
        description=f"{VERBS[verb].summary}: lightning-gen {example}",
    )
    parameters = inspect.signature(function).parameters
    helps = {item.arg_name: item.description for item in parse(function.__doc__ or "").params}
    parser.add_argument("run", type=str, help=RUN_HELP)
    lists = {name for name, parameter in parameters.items() if is_list(parameter.annotation)}
    special: set[str | int] = {"run", "inputs", "out", *lists}
    parser.add_function_arguments(function, as_group=False, as_positional=True, skip=special)
    for name in sorted(lists):
        kind = list_item(parameters[name].annotation)
        parser.add_argument(f"--{name}", nargs="+", type=kind, help=helps[name])
    if "inputs" in parameters:
        parser.add_argument("--images", type=Path | None, help="an image file, or a folder of them")
        parser.add_argument(
            "--split", type=SplitName, default="test", help="of the run's dataset, without --images"
        )
    parser.add_argument(
        "--out", type=Path | None, help=f"{helps['out']} Default: {default_out} of the run."
    )
    if "batch_size" not in parameters:
        parser.add_argument("--batch_size", type=int, default=256, help="images at once")
    parser.add_argument("--seed", type=int, default=0, help="of everything random")
    parser.add_argument("--device", type=str, default="auto", help="auto, cpu, cuda, cuda:1, mps")
    return parser


def prepare(
    function: Callable[..., Any], options: Namespace, default_out: str
) -> tuple[dict[str, Any], Callable[[], str | None]]:
    """The arguments of the function, and what gives a line about images that were left out."""
    if options.batch_size < 1:
        raise UserError(f"--batch_size is at least 1, got {options.batch_size}.")
    run = FinishedRun.open(options.run, options.device)
    parameters = inspect.signature(function).parameters
    arguments = {name: options[name] for name in parameters if name in options}
    arguments |= {"run": run, "out": options.out or run.path / default_out}
    if "inputs" not in parameters:
        return arguments, lambda: None
    inputs: Inputs
    if options.images is not None:
        inputs = FileInputs(run, options.images, options.batch_size)
    else:
        inputs = SplitInputs(run, options.split, options.batch_size)
    return arguments | {"inputs": inputs}, inputs.note


def is_list(annotation: object) -> bool:
    """Whether an argument takes several words."""
    return any(get_origin(kind) is Sequence for kind in get_args(annotation) or (annotation,))


def list_item(annotation: object) -> type:
    """The type of one of the words."""
    kinds = get_args(annotation) or (annotation,)
    (item,) = (get_args(kind)[0] for kind in kinds if get_origin(kind) is Sequence)
    return item  # type: ignore[no-any-return]
