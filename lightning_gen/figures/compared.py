"""One quantity of several runs in one panel."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from lightning_gen.figures.curves import MARKED, UNITS, Curve, thinned
from lightning_gen.figures.style import CLASS_STYLES, drawable, label, panels

STYLES = ("-", "--", ":", "-.")
INCHES = (6.0, 3.9)


def compared_curves(curves: Mapping[str, Curve], quantity: str) -> Figure:
    """A line a run, told apart by colour, dashes and marks.

    Args:
        curves: by the name of the run.
        quantity: what is drawn, such as ``val/loss``.
    """
    figure, [axes] = panels(1, INCHES)
    for number, (name, curve) in enumerate(curves.items()):
        colour, marker = CLASS_STYLES[number % len(CLASS_STYLES)]
        axes.plot(
            *thinned(curve),
            label=f" {drawable(name)}",  # matplotlib leaves out those that begin with "_"
            color=colour,
            linestyle=STYLES[number % len(STYLES)],
            marker=marker if len(curve.steps) <= MARKED else None,
            markersize=4,
        )
    label(axes, quantity, "step", UNITS.get(quantity.rpartition("/")[2], ""))
    for text in axes.legend(frameon=False, fontsize=9, loc="best").get_texts():
        text.set_parse_math(False)
    return figure
