"""The cards of ``metrics.json`` as rows of a table."""

from pathlib import Path
from typing import NamedTuple

from lightning_gen.runs.scores import read_scores, with_error


class ScoreRow(NamedTuple):
    """A score as a reader sees it.

    Attributes:
        name: of the score.
        split: "test" or "val".
        value: with its standard error.
        unit: empty where it has none.
        images: how many it is over.
        extractor: name and hash of the network whose features it is in; empty without one.
    """

    name: str
    split: str
    value: str
    unit: str
    images: int
    extractor: str


def score_rows(run: Path) -> list[ScoreRow]:
    """A row for each card of a run, without the many of single dimensions.

    Raises:
        UserError: the file is broken.
    """
    rows = []
    for split, cards in read_scores(run).items():
        for name, card in cards.items():
            if "/" in name or card["value"] is None:
                continue
            error = card["standard_error"]
            value = with_error(card["value"], float("nan") if error is None else error)
            unit = "" if card["unit"] == "none" else card["unit"]
            extractor = card.get("extractor")
            about = f"{extractor['name']}, {extractor['sha256'][:8]}" if extractor else ""
            rows.append(ScoreRow(name, split, value, unit, card["num_images"], about))
    return rows
