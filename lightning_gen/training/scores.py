"""``metrics.json``: the scores of a run, each with what a reader must know to compare it."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lightning_gen.atomic import write_text
from lightning_gen.callbacks.evaluation import Card
from lightning_gen.errors import UserError

FILE = "metrics.json"


def read_scores(folder: Path) -> dict[str, dict[str, Any]]:
    """The cards of a run by split and name, none without a file; a UserError where it is broken."""
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        scores: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no JSON ({error}). Move it away, then test again.") from error
    cards = scores.values() if isinstance(scores, dict) else [None]
    if not all(isinstance(s, dict) and all(map(_is_card, s.values())) for s in cards):
        raise UserError(f"{path} holds no cards of scores. Move it away, then test again.")
    return scores


def _is_card(card: object) -> bool:
    """Whether this is what :func:`as_json` writes, as far as a reader relies on it."""
    if not isinstance(card, dict) or "value" not in card:
        return False
    extractor = card.get("extractor") or {"name": "", "sha256": ""}
    return (
        all(isinstance(card.get(name), int | float | None) for name in ("value", "standard_error"))
        and isinstance(card.get("num_images"), int | None)
        and isinstance(card.get("unit"), str | None)
        and isinstance(extractor, dict)
        and all(isinstance(extractor.get(name), str) for name in ("name", "sha256"))
    )


def write_scores(folder: Path, cards: Mapping[str, Card], about: Mapping[str, Any]) -> None:
    """Add cards by name to those of a run, in place of older ones of the same split and name.

    ``about`` is what is known of the evaluation as a whole, such as its checkpoint.
    """
    scores = read_scores(folder)
    date = datetime.now(UTC).isoformat(timespec="seconds")
    for name, card in cards.items():
        content = {**as_json(card), **about, "date": date}
        scores.setdefault(card.split, {})[name] = content
    write_text(folder / FILE, json.dumps(scores, indent=2) + "\n")


def as_json(card: Card) -> dict[str, Any]:
    """A card with its details beside the rest; JSON has no nan, and null takes its place."""
    content = asdict(card)
    details = content.pop("details")
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in {**content, **details}.items()
    }


def cards_in_words(cards: Mapping[str, Card]) -> Iterable[str]:
    """A line for each card: its value, standard error and unit."""
    width = max((len(name) for name in cards), default=0)
    for name, card in cards.items():
        unit = "" if card.unit == "none" else f" {card.unit}"
        yield f"{name:<{width}}  {with_error(card.value, card.standard_error)}{unit}"


def with_error(value: float, error: float, least: int = 0) -> str:
    """``86.76 ± 0.12``: as many digits as the error justifies, four without one.

    Of decimals at least ``least``.
    """
    if math.isfinite(value) and math.isfinite(error) and error >= 1e-8:
        digits = max(least, 1 - math.floor(math.log10(error)))
        return f"{value:.{digits}f} ± {error:.{digits}f}"
    if least:
        return f"{value:.{least}f}"
    whole = len(f"{abs(value):.0f}") if math.isfinite(value) else 0
    return number(value, max(4, whole))


def number(value: float, digits: int = 5) -> str:
    """A value with so many significant digits, and no exponent unless it is tiny or huge."""
    if value == 0 or not 1e-4 <= abs(value) < 1e15:
        return f"{value:.{digits}g}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{float(f'{value:.{digits}g}'):,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text
