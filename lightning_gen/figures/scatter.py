"""Points in a plane, coloured by class."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lightning_gen.figures.style import CLASS_STYLES, GREY, TEXT, drawable, label, panels

Points = Float[np.ndarray, "n 2"]
Classes = Int[np.ndarray, " n"]

INCHES = (8.6, 6.4)
LETTER, LINE, NEAR = 0.014, 0.035, 0.05
"""The width of a letter, the height of a line, and the radius that counts as near, as shares of the
axes."""

MOST_COUNTED = 1000
"""Of each class so many points are asked where they are densest."""

NAME_STYLE: dict[str, Any] = {
    **{"color": TEXT, "fontsize": 9, "ha": "center", "va": "center", "parse_math": False},
    "path_effects": [patheffects.withStroke(linewidth=3, foreground="white")],
}

MOST_CLASSES = 20
"""With more classes than these the colour is the class's number on a scale."""


def scatter(
    points: Float[Tensor, "n 2"],
    labels: Int[Tensor, " n"],
    class_names: Sequence[str],
    title: str,
    axis_labels: tuple[str, str],
) -> Figure:
    """A point an image; classes differ in colour and in the form of the point.

    One name of a class, or none, shows no classes.
    """
    figure, [axes] = panels(1, INCHES)
    label(axes, title, *axis_labels)
    axes.grid(axis="x", color=axes.yaxis.get_gridlines()[0].get_color(), linewidth=0.8)
    xy, classes = points.numpy(), labels.numpy()
    if len(class_names) > MOST_CLASSES:
        shown = axes.scatter(xy[:, 0], xy[:, 1], c=classes, s=9, cmap="cividis", linewidths=0)
        figure.colorbar(shown, label="class")
    elif len(class_names) > 1:
        _classes(axes, xy, classes, [drawable(name) for name in class_names])
    else:
        axes.scatter(xy[:, 0], xy[:, 1], c=GREY, s=9, linewidths=0)
    return figure


def _classes(axes: Axes, xy: Points, classes: Classes, class_names: Sequence[str]) -> None:
    size = 14 if len(xy) <= 3000 else 7
    for number, name in enumerate(class_names):
        chosen = xy[classes == number]
        colour, marker = CLASS_STYLES[number % len(CLASS_STYLES)]
        axes.scatter(
            chosen[:, 0],
            chosen[:, 1],
            c=colour,
            marker=marker,
            s=size,
            linewidths=0,
            alpha=0.75,
            label=f" {name}",  # matplotlib leaves out those that begin with "_"
        )
    _names(axes, xy, classes, class_names)
    legend = axes.legend(
        loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9, markerscale=1.8
    )
    for text, name in zip(legend.get_texts(), class_names, strict=True):
        text.set(text=name, parse_math=False)


def _names(axes: Axes, xy: Points, classes: Classes, class_names: Sequence[str]) -> None:
    """Write each name where its class is densest and no other name stands."""
    low, high = xy.min(axis=0), xy.max(axis=0)
    units = (xy - low) / np.maximum(high - low, 1e-9)
    taken: list[tuple[float, float, float]] = []
    for number, name in enumerate(class_names):
        points = units[classes == number][:MOST_COUNTED]
        width = LETTER * len(name)
        for x, y in points[np.argsort(-_neighbours(points))]:
            if all(abs(x - u) > (width + w) / 2 or abs(y - v) > LINE for u, v, w in taken):
                taken.append((x, y, width))
                axes.annotate(name, low + (x, y) * (high - low), **NAME_STYLE)
                break


def _neighbours(points: Float[np.ndarray, "n 2"]) -> Int[np.ndarray, " n"]:
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    counts: Int[np.ndarray, " n"] = (distances < NEAR).sum(axis=1)
    return counts
