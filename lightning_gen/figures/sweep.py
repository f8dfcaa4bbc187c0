"""What a sweep found: the metric against each parameter."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatter, MaxNLocator

from lightning_gen.figures.style import BLUE, GREY, TEXT, VERMILLION, label, panels

PER_GROUP = 5
"""Trials of a range that share one point of the median line."""

LONG = 9
"""Ticks of more characters than these are written aslant."""


class SweptParameter(NamedTuple):
    """A parameter of a sweep and the value that each trial had.

    Attributes:
        name: the key of the configuration.
        values: one a trial: numbers of a range, or the texts of choices.
        choices: the texts in their order; none for a range.
        log: the range is logarithmic.
    """

    name: str
    values: Sequence[float] | Sequence[str]
    choices: Sequence[str] = ()
    log: bool = False


def sweep_panels(
    parameters: Sequence[SweptParameter],
    metric: Sequence[float],
    name: str,
    unit: str,
    *,
    minimize: bool,
) -> Figure:
    """One panel a parameter: a dot a trial, the best one marked, the median as a line.

    The metric of each trial has a name such as ``val/loss``, or a sum of such.
    """
    figure, axes = panels(len(parameters))
    best = int(np.argmin(metric) if minimize else np.argmax(metric))
    sense = "less is better" if minimize else "more is better"
    for panel, parameter in zip(axes, parameters, strict=True):
        _draw(panel, parameter, metric, best)
        title = parameter.name.rpartition(".")[2].replace("_", " ")
        label(panel, title, parameter.name, f"{name}\n{unit} ({sense})".replace("\n ", "\n"))
    figure.legend(handles=_legend(), loc="outside upper right", ncols=3, frameon=False, fontsize=9)
    return figure


def _draw(axes: Axes, parameter: SweptParameter, metric: Sequence[float], best: int) -> None:
    places = np.array(_places(parameter), dtype=float)
    heights = np.array(metric, dtype=float)
    axes.plot(*_medians(parameter, places, heights), color=GREY, linewidth=1.5, zorder=1.5)
    axes.scatter(places, heights, s=22, color=BLUE, alpha=0.7, linewidths=0)
    axes.scatter(places[best], heights[best], s=48, color=VERMILLION, zorder=3)
    if parameter.choices:
        axes.set_xticks(range(len(parameter.choices)), parameter.choices)
        if max(map(len, parameter.choices)) > LONG:
            for text in axes.get_xticklabels():
                text.set(rotation=35, ha="right", rotation_mode="anchor")
        axes.set_xlim(-0.5, len(parameter.choices) - 0.5)
    elif parameter.log:
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.4)))
        axes.tick_params(axis="x", which="minor", labelsize=8, color=GREY, labelcolor=TEXT)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=bool(np.all(places % 1 == 0))))


def _places(parameter: SweptParameter) -> list[float]:
    if parameter.choices:
        return [float(parameter.choices.index(str(value))) for value in parameter.values]
    return [float(value) for value in parameter.values]


def _medians(
    parameter: SweptParameter, places: np.ndarray, heights: np.ndarray
) -> tuple[list[float], list[float]]:
    """The line: a point for each choice, or for each few neighbours of a range."""
    order = np.argsort(places, kind="stable")
    if parameter.choices:
        groups = [np.flatnonzero(places == place) for place in np.unique(places)]
    elif len(order) < 2 * PER_GROUP:
        return [], []
    else:
        groups = np.array_split(order, len(order) // PER_GROUP)
    x = [float(np.median(places[group])) for group in groups]
    return x, [float(np.median(heights[group])) for group in groups]


def _legend() -> list[Line2D]:
    return [
        Line2D([], [], color=BLUE, marker="o", linewidth=0, markersize=5, label="a trial"),
        Line2D([], [], color=VERMILLION, marker="o", linewidth=0, markersize=7, label="the best"),
        Line2D([], [], color=GREY, linewidth=1.5, label="median"),
    ]
