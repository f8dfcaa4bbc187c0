"""One quantity of several runs in one panel."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from lightning_gen.figures.curves import MARKED, UNITS, Curve, thinned
from lightning_gen.figures.style import BLUE, GREEN, VERMILLION, drawable, label, panels

COLOURS = (BLUE, VERMILLION, GREEN, "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
INCHES = (6.0, 3.9)


def compared_curves(curves: Mapping[str, Curve], quantity: str) -> Figure:
    """A line a run, told apart by colour, dashes and marks.

    Args:
        curves: by the name of the run.
        quantity: what is drawn, such as ``val/loss``.
    """
    figure, [axes] = panels(1, INCHES)
    for number, (name, curve) in enumerate(curves.items()):
        marker = MARKERS[number % len(MARKERS)] if len(curve.steps) <= MARKED else None
        axes.plot(
            *thinned(curve),
            label=f" {drawable(name)}",  # matplotlib leaves out those that begin with "_"
            color=COLOURS[number % len(COLOURS)],
            linestyle=STYLES[number % len(STYLES)],
            marker=marker,
            markersize=4,
        )
    label(axes, quantity, "step", UNITS.get(quantity.rpartition("/")[2], ""))
    for text in axes.legend(frameon=False, fontsize=9, loc="best").get_texts():
        text.set_parse_math(False)
    return figure
