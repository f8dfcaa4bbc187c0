"""YAML files that somebody else may have written."""

from pathlib import Path

import yaml

from lightning_gen.errors import UserError

MOST_VALUES = 100_000
DEEPEST = 100


def read_yaml(path: Path) -> object:
    """The content of a YAML file: dicts, lists, texts, numbers, true, false and null.

    A UserError says that it cannot be read, is no YAML, or holds what no configuration needs:
    dates, sets, binary data, itself, or more than 100,000 values, which a few lines of references
    to each other can stand for.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: {error}.") from error
    except yaml.YAMLError as error:
        text = " ".join(str(error).replace('in "<unicode string>", ', "in ").split())
        raise UserError(f"{path} is no valid YAML: {text}.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, OverflowError, RecursionError, AttributeError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise UserError(f"{path} holds a value that cannot be read: {reason}.") from error
    left = [(content, 0)]
    count = 0
    while left:
        part, depth = left.pop()
        count += 1
        if count > MOST_VALUES or depth > DEEPEST:
            raise UserError(
                f"{path} stands for more than {MOST_VALUES:,} values, or is nested more than "
                f"{DEEPEST} deep. Write it without references (& and *)."
            )
        if isinstance(part, dict):
            left += [(item, depth + 1) for pair in part.items() for item in pair]
        elif isinstance(part, list):
            left += [(item, depth + 1) for item in part]
        elif not isinstance(part, str | int | float | None):
            kind = type(part).__name__
            raise UserError(f"{path} holds a {kind}, {part!r}. Put it in quotes to mean a text.")
    return content
