"""Accuracy against the number of labels."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from lightning_gen.figures.style import CLASS_STYLES, label, panels

INCHES = (7.6, 4.6)


class AccuracyCurve(NamedTuple):
    """The accuracy of a classifier on a representation.

    Attributes:
        features: the representation; each has a colour.
        classifier: each has a line style.
        labels: numbers of labelled images.
        means: accuracy at each number, in [0, 1].
        deviations: its standard deviation over draws of the labelled images.
    """

    features: str
    classifier: str
    labels: list[int]
    means: list[float]
    deviations: list[float]


def accuracy_curves(curves: Sequence[AccuracyCurve], title: str) -> Figure:
    """A line for each curve, with bars of one standard deviation."""
    figure, [axes] = panels(1, INCHES)
    colours = {name: CLASS_STYLES[i] for i, name in enumerate(_names(c.features for c in curves))}
    lines = dict(zip(_names(c.classifier for c in curves), ("-", "--", ":"), strict=False))
    for curve in curves:
        colour, _ = colours[curve.features]
        axes.errorbar(
            curve.labels,
            [100 * mean for mean in curve.means],
            [100 * deviation for deviation in curve.deviations],
            color=colour,
            linestyle=lines[curve.classifier],
            marker="o",
            markersize=4,
            capsize=3,
            label=f"{curve.features}, {curve.classifier}",
        )
    axes.set_xscale("log")
    ticks = sorted({n for curve in curves for n in curve.labels})
    axes.set_xticks(ticks, [f"{n:,}" for n in ticks])
    axes.minorticks_off()
    label(axes, title, "labelled training images", "accuracy in %")
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    return figure


def _names(found: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(found))
