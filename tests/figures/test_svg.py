"""Charts as SVG, and the charts that are only drawn so."""

import re

import numpy as np
import pytest

from lightning_gen.figures import to_array
from lightning_gen.figures.compared import compared_curves
from lightning_gen.figures.curves import MOST_POINTS, Curve, separate_curves, thinned
from lightning_gen.figures.style import to_svg


@pytest.fixture
def figure():
    return compared_curves({"a": Curve([1.0, 2.0], [3.0, 1.0])}, "val/loss")


def test_an_svg_is_the_same_each_time(figure):
    assert to_svg(figure, "one") == to_svg(figure, "one")


def test_what_two_svgs_refer_to_is_apart(figure):
    def names(svg):
        return set(re.findall(r' id="([^"]+)"', svg))

    one, two = to_svg(figure, "one"), to_svg(figure, "two")
    assert not names(one) & names(two)
    used = re.findall(r'(?:href="#|url\(#)([^")]+)', one)
    assert len(used) > 5
    assert set(used) <= names(one)


def test_an_svg_is_text_that_scales_and_styles_nothing_else(figure):
    svg = to_svg(figure, "one")
    assert ">nats per image</text>" in svg
    assert re.match(r'<svg [^>]*viewBox="0 0 [\d.]+ [\d.]+"', svg)
    assert not re.match(r'<svg [^>]* width="', svg)
    assert "<style" not in svg
    assert "Date" not in svg


def test_an_svg_takes_the_colours_of_its_page(figure):
    """In dark mode its text and lines are light, and nothing white is behind them."""
    svg = to_svg(figure, "one")
    assert "var(--ink,#222222)" in svg
    assert "var(--blue,#0072b2)" in svg
    assert "#ffffff" not in svg
    outside = re.sub(r"var\([^)]*\)", "", svg)
    assert not re.search(r"#(222222|666666|999999|dddddd|000000)", outside)


def test_runs_differ_in_more_than_colour():
    curves = {name: Curve([1.0, 2.0], [1.0, 2.0]) for name in ("_a", "b", "$c$", "d{$")}
    [axes] = compared_curves(curves, "val/loss").axes
    assert len({(line.get_linestyle(), line.get_marker()) for line in axes.lines}) == 4
    shown = [text.get_text().strip() for text in axes.get_legend().texts]
    assert shown == list(curves)
    assert axes.get_ylabel() == "nats per image"
    to_array(axes.figure)


def test_each_quantity_has_a_figure_of_its_own():
    rows = [{"step": "1", "train/loss": "3", "val/kl": "1", "val/loss": "4"}]
    figures = separate_curves(rows)
    assert list(figures) == ["loss", "kl"]
    assert len(figures["loss"].axes[0].lines) == 2


def test_a_thinned_curve_keeps_its_extremes_and_its_ends():
    rng = np.random.default_rng(0)
    values = rng.random(50_000).tolist()
    values[12_345], values[23_456] = 9.0, -9.0
    few = thinned(Curve([float(step) for step in range(50_000)], values))
    assert len(few.steps) <= MOST_POINTS + 100
    assert (max(few.values), min(few.values)) == (9.0, -9.0)
    assert (few.steps[0], few.steps[-1]) == (0.0, 49_999.0)
    assert few.steps == sorted(few.steps)
    assert all(values[int(step)] == value for step, value in zip(*few, strict=True))
