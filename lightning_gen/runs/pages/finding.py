"""One thing that a diagnosis looked at."""

from typing import NamedTuple


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        topic: what.
        fine: nothing is wrong with it.
        text: what was seen, with its numbers, and where something is wrong what to try.
    """

    topic: str
    fine: bool
    text: str
