"""The look that all charts share, and how a chart becomes pixels.

Charts are made without pyplot, so drawing one changes no state of the program, and they carry a
white background, so that they read the same on dark and on light pages.
"""

import io
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from matplotlib import get_data_path, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import ImageFont

Pixels = UInt8[np.ndarray, "page_h page_w 3"]
"""An RGB picture."""

# Colours that colour-blind people can tell apart (Okabe & Ito 2008).
BLUE, VERMILLION, GREEN = "#0072B2", "#D55E00", "#009E73"
GREY, TEXT, FAINT, LINES = "#999999", "#222222", "#666666", "#DDDDDD"

# For points of many classes: forms change with the colours, since eight colours are not told apart
# by everyone; eight and five have no common divisor, so that forty classes differ.
_COLOURS = (BLUE, "#E69F00", GREEN, VERMILLION, "#56B4E9", "#CC79A7", "#222222", "#F0E442")
_MARKERS = ("o", "^", "s", "D", "v")
CLASS_STYLES = tuple((_COLOURS[n % 8], _MARKERS[n % 5]) for n in range(40))
"""A colour and a form of point for each class."""

PANEL_INCHES = (4.4, 3.3)
PAD_INCHES = 0.1
DPI = 100


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """The font of the charts, for what is drawn without matplotlib."""
    return ImageFont.truetype(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)


def panels(count: int, inches: tuple[float, float] = PANEL_INCHES) -> tuple[Figure, list[Axes]]:
    """A figure of ``count`` empty panels, at most three side by side, each of size ``inches``."""
    columns = 2 if count == 4 else min(count, 3)
    rows = -(-count // columns)
    width, height = inches
    layout = ConstrainedLayoutEngine(w_pad=PAD_INCHES, h_pad=PAD_INCHES)
    figure = Figure(figsize=(columns * width, rows * height), dpi=DPI, layout=layout)
    FigureCanvasAgg(figure)
    return figure, [_panel(figure, rows, columns, place) for place in range(1, count + 1)]


def _panel(figure: Figure, rows: int, columns: int, place: int) -> Axes:
    axes = figure.add_subplot(rows, columns, place)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(color=GREY, labelcolor=TEXT, labelsize=9)
    axes.grid(axis="y", color=LINES, linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def drawable(text: str) -> str:
    """The text on one line, with a mark in place of what no font can draw.

    A name may come from a folder, which takes line breaks and bytes that are no Unicode.
    """
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text)


def label(axes: Axes, title: str, x: str, y: str) -> None:
    """Write the title and both axis labels; a dollar sign is one."""
    axes.set_title(drawable(title), fontsize=11, color=TEXT, loc="left", parse_math=False)
    axes.set_xlabel(x, fontsize=9, color=TEXT, parse_math=False)
    axes.set_ylabel(y, fontsize=9, color=TEXT, parse_math=False)


def to_array(figure: Figure) -> Pixels:
    """The pixels of a figure made by this package, at its own size."""
    canvas = figure.canvas
    if not isinstance(canvas, FigureCanvasAgg):
        raise TypeError(f"to_array reads a figure with an Agg canvas, got {type(canvas).__name__}.")
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()  # type: ignore[no-untyped-call]


def chart(draw: Callable[..., Figure], *arguments: Any) -> Pixels:  # noqa: ANN401
    """The pixels of what a function of this package draws of the arguments."""
    return to_array(draw(*arguments))


def to_svg(figure: Figure, name: str) -> str:
    """A figure as SVG to stand inside a page, the same text each time it is made.

    Its text is text, and it scales with its width.

    Args:
        figure: the chart.
        name: letters, digits and dashes; what the chart refers to inside itself begins with it, so
            that charts of other names may stand in the same page.
    """
    file = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    svg = file.getvalue()[file.getvalue().index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' (?:width|height)="[\d.]+pt"', "", svg, count=2)
    svg = re.sub(r' (id="|xlink:href="#)|(url\(#)', rf"\g<0>{name}-", svg)
    svg = svg.replace("<svg", '<svg style="stroke-linejoin:round;stroke-linecap:butt"', 1)
    return re.sub(r"\n\s*", "\n", svg).strip()
