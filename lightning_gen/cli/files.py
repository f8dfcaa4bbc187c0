"""Looks at the configuration files before the parser does, whose messages do not name the file."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from lightning_gen.cli.parser import BadArgumentsError

ENDINGS = (".yaml", ".yml")


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
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise BadArgumentsError(f"{path} is not UTF-8 text: {error}.") from error
    except yaml.YAMLError as error:
        text = str(error).replace('in "<unicode string>", ', "in ")
        raise BadArgumentsError(f"{path} is no valid YAML: {text}.") from error
    except OSError as error:
        raise BadArgumentsError(f"{path} cannot be read: {error.strerror}.") from error
    if whole and not isinstance(content, dict):
        found = "nothing" if content is None else f"a {type(content).__name__}"
        raise BadArgumentsError(f"{path} holds {found}, expected key: value, such as model: VAE.")
    for word in texts(content):
        if word.endswith(ENDINGS) and path.parent / word != path:
            check_file(path.parent / word)


def texts(content: object) -> Iterator[str]:
    """Every string in a tree of YAML."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict | list):
        for part in content.values() if isinstance(content, dict) else content:
            yield from texts(part)
