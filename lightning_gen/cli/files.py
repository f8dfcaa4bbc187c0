"""Looks at the configuration files before the parser does, whose messages do not name the file."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path

from lightning_gen.cli.parser import BadArgumentsError
from lightning_gen.errors import UserError
from lightning_gen.yaml_file import read_yaml

ENDINGS = (".yaml", ".yml")
CLASS_KEYS = ("class_path", "init_args", "dict_kwargs")


def check_files(words: list[str]) -> None:
    """Raise a BadArgumentsError where a file among the words, or named in one, is no YAML.

    A file that does not exist is left to the parser, which knows the key that asks for it.
    """
    for before, word in zip(["", *words], words, strict=False):
        option, _, value = word.rpartition("=") if word.startswith("-") else (before, "", word)
        if value.endswith(ENDINGS):
            check_file(Path(value), whole=option in ("-c", "--config"))


def check_file(path: Path, *, whole: bool = False) -> None:
    """Raise a BadArgumentsError unless the file, and those that it names, can be read.

    Args:
        path: a file, which need not exist.
        whole: it is a configuration and no piece of one.
    """
    if path.is_dir():
        raise BadArgumentsError(f"{path} is a folder, expected a YAML file.")
    if not path.is_file():
        return
    try:
        content = read_yaml(path)
    except UserError as error:
        raise BadArgumentsError(str(error)) from error
    if whole and not isinstance(content, dict):
        found = "nothing" if content is None else f"a {type(content).__name__}"
        raise BadArgumentsError(f"{path} holds {found}, expected key: value, such as model: VAE.")
    check_tree(content, str(path))
    trainer = content.get("trainer") if whole and isinstance(content, dict) else None
    if not isinstance(trainer, dict | str | None):
        raise BadArgumentsError(f"{path}: trainer: expected key: value, got {trainer!r}.")
    for word in texts(content):
        if word.endswith(ENDINGS) and path.parent / word != path:
            check_file(path.parent / word)


def check_tree(content: object, path: str, key: str = "") -> None:
    """Raise a BadArgumentsError where a class or its arguments are written in no form at all."""
    parts: Iterable[tuple[object, object]] = ()
    if isinstance(content, dict | list):
        parts = content.items() if isinstance(content, dict) else enumerate(content)
    for name, part in parts:
        here = f"{key}.{name}".lstrip(".")
        if name == "class_path" and not (isinstance(part, str) and part.strip()):
            raise BadArgumentsError(f"{path}: {here}: expected the name of a class, got {part!r}.")
        if name == "init_args" and not isinstance(part, dict):
            got = "nothing" if part is None else repr(part)
            raise BadArgumentsError(f"{path}: {here}: expected arguments: values, got {got}.")
        if isinstance(content, dict) and not isinstance(name, str):
            raise BadArgumentsError(f"{path}: {here} is a key, expected a text, got {name!r}.")
        if isinstance(content, dict) and "class_path" in content and name not in CLASS_KEYS:
            hint = (
                ". Did you mean init_args?" if get_close_matches(str(name), ["init_args"]) else ""
            )
            raise BadArgumentsError(
                f"{path}: {here} is no option beside class_path{hint or ', but below init_args.'}"
            )
        check_tree(part, path, here)


def texts(content: object) -> Iterator[str]:
    """Every string in a tree of YAML."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict | list):
        for part in content.values() if isinstance(content, dict) else content:
            yield from texts(part)
