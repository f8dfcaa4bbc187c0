"""The look that all charts share, and how a chart becomes pixels.

Charts are made without pyplot, so drawing one changes no state of the program. As pixels they carry
a white background; inside a page they take its colours.
"""

import io
import re
from functools import cache
from pathlib import Path
from textwrap import fill

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

COLOURS = (
    *(BLUE, "#E69F00", GREEN, VERMILLION, "#56B4E9", "#CC79A7", TEXT, "#F0E442", "#7A3E9D"),
    *("#7B4B1D", "#E5165B", "#A8A8A8", "#7FBF1F", "#1616E5", "#F2A6A0", "#004D40", "#E516C3"),
    *("#590808", "#16C5C5", "#BFA87C"),
)
"""Those of Okabe & Ito, then twelve that are far from them and from each other."""

MARKERS = ("o", "^", "s", "D", "v", "P", "X")
CLASS_STYLES = tuple((colour, MARKERS[n % len(MARKERS)]) for n, colour in enumerate(COLOURS))
"""A colour and a form of point for each of twenty classes: not everyone sees colours alone."""

THEMED = {
    TEXT: "--ink",
    FAINT: "--soft",
    GREY: "--soft",
    LINES: "--line",
    BLUE: "--blue",
    VERMILLION: "--vermillion",
    GREEN: "--green",
}
"""The variable of a page's style that takes the place of a colour, which differs in dark mode."""

PANEL_INCHES = (4.4, 3.3)
PAD_INCHES = 0.1
LETTERS = 10
"""Of a title, to an inch."""

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
    """Write the title, in lines that fit, and both axis labels; a dollar sign is one."""
    place, figure = axes.get_subplotspec(), axes.get_figure(root=True)
    columns = place.get_gridspec().ncols if place else 1
    inches = figure.get_figwidth() / columns if figure else PANEL_INCHES[0]
    title = fill(drawable(title), int(LETTERS * inches))
    axes.set_title(title, fontsize=11, color=TEXT, loc="left", parse_math=False)
    axes.set_xlabel(x, fontsize=9, color=TEXT, parse_math=False)
    axes.set_ylabel(y, fontsize=9, color=TEXT, parse_math=False)


def to_array(figure: Figure) -> Pixels:
    """The pixels of a figure made by this package, at its own size."""
    canvas = figure.canvas
    if not isinstance(canvas, FigureCanvasAgg):
        raise TypeError(f"to_array reads a figure with an Agg canvas, got {type(canvas).__name__}.")
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()  # type: ignore[no-untyped-call]


def save_vector(picture: Figure | Pixels, path: Path, kind: str) -> None:
    """Write a chart as a PDF or SVG with its text as text, or a page as one of the same pixels."""
    if not isinstance(picture, Figure):
        height, width, _ = picture.shape
        figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
        figure.figimage(picture)
        picture = figure
    date = {"svg": "Date", "pdf": "CreationDate"}[kind]
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "chart", "pdf.fonttype": 42}):
        picture.savefig(path, format=kind, metadata={date: None})


def to_svg(figure: Figure, name: str) -> str:
    """A figure as SVG to stand inside a page, the same text each time it is made.

    Its text is text, it scales with its width, and its colours are the page's, ``THEMED``.

    Args:
        figure: the chart.
        name: letters, digits and dashes; what the chart refers to inside itself begins with it, so
            that charts of other names may stand in the same page.
    """
    file = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    svg = file.getvalue()[file.getvalue().index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' (?:width|height)="[\d.]+pt"', "", svg, count=2)
    svg = re.sub(r' (id="|xlink:href="#)|(url\(#)', rf"\g<0>{name}-", svg)
    for colour, variable in THEMED.items():
        svg = svg.replace(colour.lower(), f"var({variable},{colour.lower()})")
    svg = svg.replace("#000000", "currentColor")
    style = "stroke-linejoin:round;stroke-linecap:butt;fill:currentColor"
    svg = svg.replace("<svg", f'<svg style="{style}"', 1)
    return re.sub(r"\n\s*", "\n", svg).strip()
