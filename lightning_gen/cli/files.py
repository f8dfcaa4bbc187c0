"""The configuration files that a command names: what is wrong with them, and what they choose."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from lightning_gen.errors import UserError, nearest
from lightning_gen.yaml_file import read_yaml

ENDINGS = (".yaml", ".yml")
LISTS = ("callbacks", "logger", "pictures")
CLASS_KEYS = ("class_path", "init_args", "dict_kwargs")


def options_of(words: list[str]) -> Iterator[tuple[str, str]]:
    """Each option of a command without its dashes, and what is given to it."""
    for before, word in zip(["", *words], words, strict=False):
        option, _, value = word.partition("=") if word.startswith("-") else (before, "", word)
        if option.startswith("-") and value:
            yield option.lstrip("-").rstrip("+"), value


def check_files(words: list[str]) -> None:
    """Raise a UserError where a file among the words, or named in one, is missing or no YAML.

    The parser's messages do not name the file.
    """
    for option, value in options_of(words):
        if value.endswith(ENDINGS) and option != "name":
            check_file(Path(value), option)


def check_file(path: Path, option: str) -> None:
    """Raise a UserError unless the file at an option, and those that it names, can be read."""
    if path.is_dir():
        raise UserError(f"{option}: {path} is a folder, expected a YAML file.")
    if not path.is_file():
        beside = map(str, path.parent.glob("*.y*ml")) if path.parent.is_dir() else ()
        raise UserError(f"{option}: there is no file {path}{nearest(str(path), beside)}")
    content = read_yaml(path)
    whole = option in ("c", "config")
    if (whole or option == "trainer") and not isinstance(content, dict):
        found = "nothing" if content is None else f"a {type(content).__name__}"
        raise UserError(f"{option}: {path} holds {found}, expected key: value.")
    trainer = content.get("trainer") if whole and isinstance(content, dict) else None
    if not isinstance(trainer, dict | str | None):
        raise UserError(f"{path}: trainer: expected key: value, got {trainer!r}.")
    check_tree(content, str(path))
    for key, word in texts(content):
        if word.endswith(ENDINGS) and key != "name" and path.parent / word != path:
            check_file(path.parent / word, key or option)


def check_tree(content: object, path: str, key: str = "") -> None:
    """Raise a UserError where a class or its arguments are written in no form at all."""
    listed = isinstance(content, list) and key.endswith(LISTS)
    for name, part in parts(content):
        here = f"{key}.{name}".lstrip(".")
        fault = ""
        if name == "class_path" and not (isinstance(part, str) and part.strip()):
            fault = f": expected the name of a class, got {part!r}."
        elif name == "init_args" and not isinstance(part, dict):
            given = "nothing" if part is None else repr(part)
            fault = f": expected arguments: values, got {given}."
        elif isinstance(content, dict) and not isinstance(name, str):
            fault = f" is a key, expected a text, got {name!r}."
        elif listed and isinstance(part, dict) and "class_path" not in part:
            fault = f": expected class_path: NAME, and init_args, got {', '.join(map(str, part))}."
        elif isinstance(content, dict) and "class_path" in content and name not in CLASS_KEYS:
            fault = " is no option beside class_path. A class's arguments stand below init_args."
        if fault:
            raise UserError(f"{path}: {here}{fault}")
        check_tree(part, path, here)


def parts(content: object) -> Iterable[tuple[object, object]]:
    """What a dict or a list holds, by key or number; nothing of another value."""
    if isinstance(content, dict):
        return content.items()
    return enumerate(content) if isinstance(content, list) else ()


def texts(content: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Every string in a tree of YAML, after its dotted key."""
    if isinstance(content, str):
        yield key, content
    for name, part in parts(content):
        here = f"{key}.{name}".lstrip(".") if isinstance(content, dict) else key
        yield from texts(part, here)


def chosen_class(words: list[str], key: str) -> str | None:
    """The class that a command and its files choose at ``key``, such as ``VAE`` at ``model``.

    The last word counts; None where none is chosen. A file that cannot be read chooses nothing.
    """
    found = None
    for option, value in options_of(words):
        if option in ("c", "config") and value.endswith(ENDINGS):
            found = _class_in(Path(value), key) or found
        elif option == key:
            is_file = value.endswith(ENDINGS)
            found = (_class_in(Path(value)) if is_file else value.rpartition(".")[2]) or found
    return found


def _class_in(path: Path, key: str = "") -> str | None:
    try:
        content = read_yaml(path)
    except UserError:
        return None
    part = content.get(key) if key and isinstance(content, dict) else content
    if isinstance(part, str) and part.endswith(ENDINGS):
        return _class_in(path.parent / part)
    name = part.get("class_path") if isinstance(part, dict) else part
    return name.rpartition(".")[2] if isinstance(name, str) else None
