"""Curves of logged values: those of a run, and one quantity of several runs."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lightning_gen.figures.style import (
    BLUE,
    CLASS_STYLES,
    FAINT,
    GREEN,
    VERMILLION,
    drawable,
    label,
    panels,
)
from lightning_gen.quantities import Quantities

STAGES = {"train": ("train", BLUE), "val": ("validation", VERMILLION), "test": ("test", GREEN)}
FIRST = 0.1
"""The share of the steps, from the first, that does not set the upper end of a y axis."""

STRETCHES = 25
"""So many moving averages of a training curve stand side by side."""

STYLES = ("-", "--", ":", "-.")
"""The lines of several runs."""

MARKED = 30
"""A curve of at most so many points shows each of them."""


MOST_POINTS = 2000
"""A curve of more points is thinned where each of them would be written down."""


class Curve(NamedTuple):
    """The logged values of a quantity in one stage, against the training step."""

    steps: list[float]
    values: list[float]


Curves = dict[str, Curve]
"""A curve for each stage."""


def loss_curves(rows: Sequence[Mapping[str, str]], quantities: Quantities) -> Figure:
    """One panel for each quantity that was logged as ``stage/quantity``, all stages in it.

    The y axis ends at the highest value after the first tenth of the steps, so that the high losses
    of the start do not flatten the rest; a panel that cuts some says so. Values that are not finite
    are left out. A long training curve is its moving average, with the single batches faint behind.

    Args:
        rows: lines of a metrics.csv: a ``step`` and columns such as ``train/loss`` or ``val/kl``,
            of which each line fills some.
        quantities: what they are.
    """
    curves = _curves(rows)
    if not curves:
        figure, [panel] = panels(1)
        label(panel, "no losses logged yet", "step", "")
        return figure
    figure, axes = panels(len(curves))
    for panel, name in zip(axes, sorted(curves, key=quantities.place), strict=True):
        _draw(panel, name, curves[name], quantities.of(name).unit)
    return figure


def separate_curves(rows: Sequence[Mapping[str, str]], quantities: Quantities) -> dict[str, Figure]:
    """The panels of :func:`loss_curves`, a figure of its own for each quantity."""
    curves, figures = _curves(rows), {}
    for name in sorted(curves, key=quantities.place):
        figures[name], [panel] = panels(1)
        _draw(panel, name, curves[name], quantities.of(name).unit)
    return figures


def compared_curves(curves: Mapping[str, Sequence[Curve]], quantity: str, unit: str) -> Figure:
    """The lines of each run, one a seed, by its name, told apart by colour, dashes and marks."""
    figure, [axes] = panels(1, (6.0, 3.9))
    for number, (name, seeds) in enumerate(curves.items()):
        colour, marker = CLASS_STYLES[number % len(CLASS_STYLES)]
        for place, curve in enumerate(seeds):
            axes.plot(
                *thinned(curve),
                # matplotlib leaves names out that begin with "_"
                label=f" {drawable(name)}" if place == 0 else None,
                color=colour,
                linestyle=STYLES[number % len(STYLES)],
                marker=marker if len(curve.steps) <= MARKED else None,
                markersize=4,
            )
    label(axes, quantity, "step", unit)
    for text in axes.legend(frameon=False, fontsize=9, loc="best").get_texts():
        text.set_parse_math(False)
    return figure


def thinned(curve: Curve) -> Curve:
    """A curve that looks the same on a panel: the least and the greatest of each stretch."""
    stretch = 2 * len(curve.steps) // MOST_POINTS
    if stretch < 3:
        return curve
    kept = set()
    for start in range(0, len(curve.steps), stretch):
        part = range(start, min(start + stretch, len(curve.steps)))
        kept |= {min(part, key=curve.values.__getitem__), max(part, key=curve.values.__getitem__)}
    places = sorted(kept | {0, len(curve.steps) - 1})
    return Curve([curve.steps[place] for place in places], [curve.values[p] for p in places])


def smoothed(curve: Curve) -> Curve:
    """The moving average over a stretch of one in ``STRETCHES``, shorter at both ends."""
    width = max(1, len(curve.values) // STRETCHES)
    window, values = np.ones(width), np.array(curve.values)
    counts = np.convolve(np.ones(len(values)), window, "same")
    return Curve(curve.steps, (np.convolve(values, window, "same") / counts).tolist())


def _curves(rows: Sequence[Mapping[str, str]]) -> dict[str, Curves]:
    """The finite values of each quantity; one that never changes is left out beside others."""
    found: dict[str, Curves] = {}
    for row in rows:
        for column, cell in row.items():
            stage, _, name = column.partition("/")
            if stage in STAGES and cell and math.isfinite(float(cell)):
                curves = found.setdefault(name, {})
                curve = curves.setdefault(stage, Curve([], []))
                curve.steps.append(float(row["step"]))
                curve.values.append(float(cell))
    telling = {name: curves for name, curves in found.items() if not _constant(curves)}
    return telling or found


def _constant(curves: Curves) -> bool:
    values = [value for curve in curves.values() for value in curve.values]
    return any(len(curve.values) > 1 for curve in curves.values()) and len(set(values)) == 1


def _draw(axes: Axes, name: str, curves: Curves, unit: str) -> None:
    for stage, (shown, colour) in STAGES.items():
        if stage in curves:
            curve = curves[stage]
            if stage == "train" and len(curve.steps) > MARKED:  # single batches, and their mean
                axes.plot(*thinned(curve), color=colour, linewidth=0.8, alpha=0.3)
                curve = smoothed(curve)
            marker = "o" if len(curve.steps) <= MARKED else None
            axes.plot(*thinned(curve), color=colour, label=shown, marker=marker, markersize=3.5)
    label(axes, name.replace("_", " "), "step", unit)
    _limit(axes, curves)
    axes.legend(frameon=False, fontsize=9, loc="best")


def _limit(axes: Axes, curves: Curves) -> None:
    points = [point for curve in curves.values() for point in zip(*curve, strict=True)]
    settled_from = FIRST * max(step for step, _ in points)
    low, high = (extreme(value for _, value in points) for extreme in (min, max))
    end = max(value for step, value in points if step >= settled_from)
    margin = 0.05 * (end - low)
    if high > end + margin > low:
        axes.set_ylim(low - margin, end + margin)
        note = f"up to {high:.4g} before step {settled_from:.0f}"
        axes.set_title(note, loc="right", fontsize=8, color=FAINT)
