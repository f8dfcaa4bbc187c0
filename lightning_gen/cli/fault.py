"""What jsonargparse says of a mistake, taken apart."""

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple


class Fault(NamedTuple):
    """What jsonargparse says of a mistake.

    Attributes:
        text: the whole message; it quotes the part of the configuration that was looked at.
        local: the message about the innermost key.
        inner: the message of the exception that it began with.
        words: of the command.
    """

    text: str
    local: str
    inner: str
    words: tuple[str, ...] = ()

    @classmethod
    def of(cls, message: str, error: BaseException | None) -> "Fault":
        """The fault that a message and the exception behind it tell of."""
        text = one_line(message)
        texts = [text]
        while error is not None:
            texts.append(one_line(str(error)))
            error = error.__cause__ or error.__context__
        local = [each for each in texts if each.startswith("Parser key")]
        return cls(text, local[-1] if local else text, texts[-1])

    def key(self, last: str = "") -> str:
        """The dotted key that it speaks of."""
        parts = list(dict.fromkeys(re.findall(r'Parser key "([^"]+)"', self.text)))
        nested = re.search(r"NestedArg\(key='([^']+)'", self.text)
        if nested:
            return ".".join([*parts[:1], nested[1]])
        if last:
            parts.append(last)
        found = set(places(self.given(), parts[-1])) if len(parts) > 1 else set()
        if len(found) == 1:  # jsonargparse leaves out what lies between
            parts = [parts[0], *found]
        if len(parts) > 1 and parts[1].startswith(f"{parts[0]}."):
            del parts[0]
        return ".".join(parts)

    def given(self) -> object:
        """The part of the configuration that the message quotes; None where it cannot be read."""
        quoted = self.text.rpartition("Given value: ")[2]
        try:
            return ast.literal_eval(quoted)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None

    @property
    def got(self) -> str:
        """The value that was refused."""
        nested = re.search(r"val='([^']*)'", self.text)
        value = re.search(
            r"(?:Got value|Given value): (.*?)(?: - |$| Given| Subclass types)", self.inner
        )
        value = value or re.search(r"Got value: (.*?)(?: - |$| Given| Subclass types)", self.local)
        return short(
            nested[1] if nested else value[1] if value else self.text.rpartition("Given value: ")[2]
        )


def one_line(text: str) -> str:
    """A text without line breaks."""
    return " ".join(text.split())


def short(value: str, most: int = 80) -> str:
    """A quoted value, cut off where it is long."""
    return value if len(value) <= most else f"{value[:most]}..."


def places(tree: object, word: str, key: str = "") -> Iterator[str]:
    """The dotted keys below which ``word`` stands in a configuration, itself at the end."""
    if isinstance(tree, dict):
        for name, part in tree.items():
            here = key if name == "init_args" else f"{key}.{name}".lstrip(".")
            if name == word:
                yield here
            yield from places(part, word, here)


def owners(tree: object, word: str) -> Iterator[str]:
    """The classes that are given an argument of this name in a configuration."""
    if isinstance(tree, dict):
        if isinstance(tree.get("init_args"), dict) and word in tree["init_args"]:
            yield str(tree.get("class_path", ""))
        for part in tree.values():
            yield from owners(part, word)
