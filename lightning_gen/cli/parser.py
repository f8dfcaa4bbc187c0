"""The argument parser, which raises where jsonargparse prints a page of usage and exits."""

from typing import Any, NoReturn

from lightning.pytorch.cli import LightningArgumentParser


class BadArgumentsError(Exception):
    """The arguments cannot be used."""


class Parser(LightningArgumentParser):
    """Lightning's parser; the parsers of nested classes are of this class too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  (jsonargparse's)
        super().__init__(*args, allow_abbrev=False, **kwargs)  # half a word is a misspelt word

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise BadArgumentsError with jsonargparse's own message."""
        raise BadArgumentsError(message) from ex
