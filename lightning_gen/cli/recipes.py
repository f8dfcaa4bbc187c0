"""Recipes: the configurations that come with the package, known by their names."""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from lightning_gen.cli.own_parsers import RECIPES, recipes_parser
from lightning_gen.errors import UserError, bad_arguments, nearest

FOLDERS = {
    "config": (".", "experiment"),
    "c": (".", "experiment"),
    "model": ("model",),
    "data": ("data",),
    "trainer": ("trainer",),
    "trainer.logger": ("logger",),
    "sweep": ("sweep",),
}
"""Where the recipes stand that an option, or the first word of ``sweep``, may name."""
FILES_ALONE = ("config", "c", "trainer", "sweep")
"""Of these the options that take no name of a class."""
SHOWN = {"experiments": (".", "experiment"), "sweeps": ("sweep",)} | {
    f"--{name}": (folder,)
    for name, folder in (("model", "model"), ("data", "data"), ("trainer", "trainer"),
                         ("trainer.logger", "logger"))
}  # fmt: skip
TOLD = ("Paper", "Time", "Reached")
"""Of the header of a recipe, what the list of them has."""
INCLUDED = re.compile(r"^( *)([\w.]+): (\.\./\S+\.yaml|[a-z]+/\S+\.yaml)$", re.MULTILINE)


def recipes(*folders: str) -> dict[str, Path]:
    """The recipes of these folders by name, all where none is named."""
    wanted = folders or [folder for each in SHOWN.values() for folder in each]
    paths = [path for folder in wanted for path in sorted((RECIPES / folder).glob("*.yaml"))]
    return {path.stem: path for path in paths if path.stem != "reproduce"}


def with_recipes(words: list[str]) -> list[str]:
    """The words of a command with the path of a recipe in the place of its name.

    A file of that name in the working directory goes first, and a line says so. A UserError says
    that a configuration is neither a file nor a recipe.
    """
    found, option = [words[0]], words[0]  # of sweep the file follows
    for word in words[1:]:
        name, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
        key = (name or option).lstrip("-").rstrip("+")
        if value and key in FOLDERS:
            word = f"{name}{equals}{_path(key, value)}"
        found.append(word)
        option = word if word.startswith("-") and not equals else ""
    return found


def _path(key: str, value: str) -> str:
    offered = recipes(*FOLDERS[key])
    if not re.fullmatch(r"[\w-]+", value) or (value not in offered and key not in FILES_ALONE):
        return value  # a path, or the name of a class
    own = next((path for path in (value, f"{value}.yaml") if Path(path).is_file()), None)
    if own is None and value not in offered:
        raise UserError(f"{key}: there is no file and no recipe {value}{nearest(value, offered)}")
    if own is None:
        return str(offered[value])
    if value in offered:
        print(f"{own} of the working directory is taken, and no recipe", file=sys.stderr)
    return own


def run(words: list[str]) -> int:
    """List the recipes, print or copy one; the exit code."""
    from lightning_gen.cli.outcome import outcome  # loads torch

    return outcome("recipes", lambda: show_recipes(words[1:]))


def show_recipes(words: list[str]) -> None:
    """List the recipes, print or copy one."""
    from lightning_gen.atomic import write_text  # loads numpy

    with bad_arguments():
        given = recipes_parser().parse_args(words)
        offered = recipes()
        if given.name is None:
            if given.copy is not None:
                raise UserError("name the recipe to copy: lightning-gen recipes NAME --copy FILE.")
            print("\n".join(listed()))
            return
        if given.name not in offered:
            raise UserError(f"there is no recipe {given.name}{nearest(given.name, offered)}")
        path = offered[given.name]
        if given.copy is None:
            print(path.read_text(encoding="utf-8"), end="")
            return
        if given.copy.exists():
            raise UserError(f"{given.copy} exists. Name another file.")
        named = re.compile(rf"((?:--config|sweep) ){given.name}\b")
        text = named.sub(rf"\g<1>{given.copy}", whole(path))
        try:
            write_text(given.copy, text)
        except OSError as error:
            raise UserError(f"{error}. Name another file.") from error
    print(given.copy)


def listed() -> Iterator[str]:
    """The recipes by kind, each with what its header tells."""
    width = shutil.get_terminal_size().columns
    for kind, folders in SHOWN.items():
        yield f"{kind}:"
        for name, path in recipes(*folders).items():
            about, told = header(path)
            yield f"  {name:<32} {about}"
            for key in TOLD:
                if key in told and kind != "--model":
                    text = f"    {key:<9}{told[key]}"
                    yield text if len(text) <= width else f"{text[: width - 4]} ..."
        yield ""


def header(path: Path) -> tuple[str, dict[str, str]]:
    """The first sentence of a recipe's header, and the text behind each of its keys."""
    first, key, told = "", "", dict[str, str]()
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        text = line.removeprefix("#").strip()
        if found := re.match(r"(\w+): +(.+)", text):
            key, told[found[1]] = found[1], found[2]
        elif text and key:
            told[key] += f" {text}"
        elif not text:
            key = ""
        first = first or text
    return first, told


def whole(path: Path) -> str:
    """A recipe's text with that of the files that it names in their place, so that it may move."""

    def included(match: re.Match[str]) -> str:
        space, key, name = match.groups()
        other = path.parent / name
        lines = [line for line in whole(other).splitlines() if not line.startswith("#")]
        return "\n".join([f"{space}{key}:", *(f"{space}  {line}" for line in lines)])

    return INCLUDED.sub(included, path.read_text(encoding="utf-8"))
