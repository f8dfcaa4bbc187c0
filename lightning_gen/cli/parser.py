"""The argument parser, which raises where jsonargparse prints a page of usage and exits."""

from typing import NoReturn

from lightning.pytorch.cli import LightningArgumentParser


class BadArguments(Exception):
    """The arguments cannot be used."""


class Parser(LightningArgumentParser):
    """Lightning's parser; the parsers of nested classes are of this class too."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise BadArguments with jsonargparse's own message."""
        raise BadArguments(message) from ex
