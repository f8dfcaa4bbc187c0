"""Histograms of a number of images, a line a group."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from lightning_gen.figures.style import CLASS_STYLES, FAINT, drawable, label, panels

BINS = 40
WIDEST = 0.99
"""Values up to this quantile of each group are inside of the chart."""


def histograms(
    groups: Mapping[str, Sequence[float]], title: str, quantity: str, threshold: float | None
) -> Figure:
    """The share of each group's values in each interval, with a threshold as an upright line.

    Few extreme values are left of it or right of it.
    """
    figure, [axes] = panels(1, (8.0, 3.6))
    low = min(min(values) for values in groups.values())
    high = max(float(np.quantile(values, WIDEST)) for values in groups.values())
    edges = np.linspace(low, max(high, threshold or high, low + 1e-9), BINS + 1)
    for (name, values), (colour, _) in zip(
        groups.items(), CLASS_STYLES * len(groups), strict=False
    ):
        share = 100 * np.histogram(values, edges)[0] / len(values)
        axes.stairs(share, edges, color=colour, label=f" {drawable(name)} ({len(values):,})")
    if threshold is not None:
        axes.axvline(threshold, color=FAINT, linestyle="--", label=" threshold")
    label(axes, title, quantity, "% of the images")
    for text in axes.legend(frameon=False, fontsize=9, loc="best").get_texts():
        text.set_parse_math(False)
    return figure
