"""The verbs for finished runs: each is a function, whose arguments are its options."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_origin

import torch
from docstring_parser import parse
from jsonargparse import Namespace

from lightning_gen.allowed import enforced, registered
from lightning_gen.cli import VERBS, known
from lightning_gen.cli.files import options_of
from lightning_gen.cli.help import COMMON, INPUTS, RUN_HELP
from lightning_gen.cli.messages import OPTION, REQUIRED, explain
from lightning_gen.cli.outcome import outcome
from lightning_gen.cli.parser import Parser
from lightning_gen.errors import BadArgumentsError, UserError, bad_arguments, nearest, user_error
from lightning_gen.features import Extractor
from lightning_gen.parts import check_part, class_for, members, parameters
from lightning_gen.pictures import Picture
from lightning_gen.priors import Prior
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.inputs import FileInputs, Inputs, SplitInputs, SplitName

LIMITS = {
    "seed": (0, 2**32 - 1),
    "dimensions": (0, 2**31 - 1),
    "batch_size": (1, 2**16),
    "repeats": (1, 10_000),
    "restarts": (1, 1000),
    "milliseconds": (20, 5_000),
    "port": (0, 65_535),
}
"""The least and the most of options that are no plain count, which begins at 1."""

PARTS: dict[str, tuple[type, str]] = {
    "prior": (Prior, "fit_prior"),
    "features": (Extractor, "extractor"),
}
"""The options that are objects: their kind, and the key of a training where such classes stand."""


def run(words: list[str]) -> int:
    """Run a verb; the exit code."""
    return outcome(words[0], lambda: run_verb(*words))


def run_verb(verb: str, *given_words: str) -> None:
    """Parse the words, do what the verb does, and say where the result is."""
    function = function_of(verb)
    asked = inspect.signature(function).parameters
    picture, words = picture_of(verb, given_words)
    parts = [part for part in PARTS if part in asked]
    for part in parts:
        check_part_name(part, words)
    options, parser = read(verb, function, words, picture)
    try:
        with bad_arguments():
            options.out = own_place(options.out)
            if picture:
                built = parser.instantiate_classes(options)
                chosen = {name: getattr(built, name) for name in picture_options(picture)}
                lists = {k: tuple(v) for k, v in chosen.items() if isinstance(v, list)}
                options.picture = picture(**chosen | lists)
            given = {name: options[name] for name in asked if name in options}
            for part in parts:
                given[part] = part_of(part, parser, options)
            if loads(asked):
                torch.manual_seed(options.seed)
                kept = "none" if verb == "fit-prior" else options.prior
                given["run"] = opened = FinishedRun.open(options.run, options.device, kept)
                name = f"{options.picture.name}.png" if verb == "draw" else VERBS[verb].out
                needed = asked["out"].default is inspect.Parameter.empty
                given["out"] = options.out or (opened.path / name if needed else None)
            if "inputs" in asked and options.images is not None:
                check_apart(given["out"], options.images)
            if "inputs" in asked:
                size, images = options.batch_size, options.images
                split = SplitInputs(opened, options.split, size)
                given["inputs"] = split if images is None else FileInputs(opened, images, size)
            places = given.pop("runs", ())
            written = function(*places, **{k: v for k, v in given.items() if v is not None})
    except OSError as error:
        raise UserError(f"{error}. Pass another --out.") from error
    inputs = given.get("inputs")
    if isinstance(inputs, Inputs) and inputs.note():
        print(inputs.note())
    print(written)


def check_apart(out: Path, images: Path) -> None:
    """A UserError where files would be written among the images that are read, and over them."""
    place, source = out.resolve(), images.expanduser().resolve()
    if not out.suffix and (place == source or place in source.parents):
        raise UserError(f"--out {out} holds the images of --images, and files there would be lost.")


def function_of(verb: str) -> Callable[..., Path]:
    """The function of a verb, which gives back what it wrote."""
    module = import_module(f"lightning_gen.runs.{VERBS[verb].module}")
    name = "draw" if VERBS[verb].picture else verb.replace("-", "_")
    found: Callable[..., Path] = getattr(module, name)
    return found


def check_part_name(part: str, words: Sequence[str]) -> None:
    """A BadArgumentsError where a part is no class of the package, nor a dotted name."""
    kind, key = PARTS[part]
    offered = known.classes(key)
    for option, name in options_of([*words]):
        if option == part and "." not in name and name not in offered:
            noun = kind.__name__.lower()
            raise BadArgumentsError(f"there is no {noun} {name}{nearest(name, offered)}")


def part_of(part: str, parser: Parser, options: Namespace) -> Any:  # noqa: ANN401  (of its kind)
    """A part of PARTS, built; a UserError where it cannot be."""
    check_part(options[part], PARTS[part][0] | None, part)
    try:
        return parser.instantiate_classes(options)[part]
    except ValueError as error:  # the parser's, of what the class itself raised
        raise user_error(error) or error from error


def picture_of(verb: str, words: Sequence[str]) -> tuple[type[Picture] | None, Sequence[str]]:
    """The kind of picture that a verb draws, and the words without its name.

    ``draw`` has it as its second word: a name of ``lightning_gen.pictures`` or of an installed
    package, or the dotted name of a class of a module that is allowed.
    """
    name, example = VERBS[verb].picture, VERBS[verb].example
    if verb == "draw":
        if len(words) < 2 or words[1].startswith("-"):
            names = nearest("", known.classes("pictures"))
            raise BadArgumentsError(f"PICTURE missing{names} For instance: lightning-gen {example}")
        name, words = words[1], [words[0], *words[2:]]
    if not name:
        return None, words
    for module in registered():
        import_module(module)
    kinds = [*Picture.__subclasses__()]
    for kind in kinds:
        kinds += kind.__subclasses__()  # and theirs in turn
    offered = {kind.__name__: kind for kind in kinds if not inspect.isabstract(kind)}
    if name not in offered and "." not in name:
        raise BadArgumentsError(f"there is no picture {name}{nearest(name, offered)}")
    with bad_arguments(), enforced():
        return offered.get(name) or class_for(name, Picture, "PICTURE"), words


def picture_options(picture: type[Picture]) -> list[str]:
    """The options of a kind of picture that has been drawn once."""
    return [name for name in parameters(picture) if name != "every_n_epochs"]


def loads(asked: Mapping[str, inspect.Parameter]) -> bool:
    """Whether a function takes a run that is loaded; its verb has the COMMON options too."""
    return any(each.annotation is FinishedRun for each in asked.values())


def read(
    verb: str, function: Callable[..., Any], words: Sequence[str], picture: type[Picture] | None
) -> tuple[Namespace, Parser]:
    """The options of a verb; a BadArgumentsError where one is missing, unknown or no such value."""
    parser = verb_parser(verb, function, picture)
    try:
        options = parser.parse_args([*words])
    except BadArgumentsError as error:
        text = str(error)
        if missing := REQUIRED.search(text):
            example = VERBS[verb].example
            text = f"{missing[1]} missing, expected for instance: lightning-gen {example}"
        elif (unknown := OPTION.search(text)) and unknown[1]:
            defaults = vars(parser.get_defaults())
            text = f"{unknown[2]} is no option{nearest(unknown[2], defaults)}"
        elif unknown and "Parser key" not in text:
            text = f"{unknown[2]} is one word too many. Quote a name that has blanks."
        else:
            text = explain(text, error, [*words])
        raise BadArgumentsError(text) from error
    for name, value in vars(options).items():
        least, most = LIMITS.get(name, (1, 2**31 - 1))
        for number in value if isinstance(value, list) else [value]:
            if type(number) is int and number < least:  # and no bool
                raise BadArgumentsError(f"--{name} is at least {least}, got {number}.")
            if type(number) is int and number > most:
                raise BadArgumentsError(f"--{name} is at most {most:,}, got {number:.3g}.")
    return options, parser


def verb_parser(
    verb: str, function: Callable[..., Any], picture: type[Picture] | None = None
) -> Parser:
    """The options of a verb: the arguments of its function, those of its picture, and COMMON ones.

    ``inputs`` is asked for by ``--images`` or ``--split``.
    """
    asked = dict(inspect.signature(function).parameters)
    helps = {p.arg_name: p.description for p in parse(function.__doc__ or "").params}
    about = f"{VERBS[verb].summary}: lightning-gen {VERBS[verb].example}"
    parser = Parser(prog=f"lightning-gen {verb}", description=about)
    add = parser.add_argument
    if "run" in asked:
        add("run", type=str if loads(asked) else Path, help=RUN_HELP)
    if "runs" in asked:
        add("runs", nargs="+", type=str, help=RUN_HELP)
    elsewhere = {"run", "runs", "inputs", "out", "picture", "every_n_epochs"}
    if picture:
        own = parameters(picture)
        asked |= {name: own[name] for name in picture_options(picture)}
        helps |= {p.arg_name: p.description for p in parse(picture.__doc__ or "").params}
    lists = {n: several for n in asked if (several := item_type(asked[n].annotation))}
    skip: set[str | int] = {*elsewhere, *lists}
    if picture:
        parser.add_class_arguments(picture, as_group=False, skip=skip)
        add("--from_codes", type=Path | None, help=helps["from_codes"])
    else:
        parser.add_function_arguments(function, as_group=False, as_positional=True, skip=skip)
    for name, (kind, count) in lists.items():
        default = asked[name].default
        default = list(default) if isinstance(default, tuple) else default
        if name == VERBS[verb].words:
            add(name, nargs="+", type=kind, help=helps[name])  # the picture counts them
        else:
            add(f"--{name}", nargs=count, type=kind, default=default, help=helps[name])
    if "inputs" in asked:
        add("--images", type=Path | None, help=INPUTS["images"])
        add("--split", type=SplitName, default="test", help=INPUTS["split"])
    add("--out", type=Path | None, help=helps["out"])
    for name, usual, text in COMMON:
        if loads(asked) and name not in asked:
            add(f"--{name}", type=type(usual), default=usual, help=text)
    return parser


def item_type(annotation: object) -> tuple[type, str | int] | None:
    """The type of each word of an argument of several, and how many; None of any other one."""
    for kind in members(annotation):
        if get_origin(kind) is Sequence:
            return get_args(kind)[0], "+"
        if get_origin(kind) is tuple:
            return get_args(kind)[0], len(get_args(kind))
    return None


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
