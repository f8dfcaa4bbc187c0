import re

import numpy as np
import pytest

from lightning_gen.figures.curves import MOST_POINTS, Curve, compared_curves, loss_curves, thinned
from lightning_gen.figures.style import BLUE, VERMILLION, to_array, to_svg
from support.quantities import KNOWN


def table(**columns):
    """Rows of a metrics.csv: one value a row, all other cells empty."""
    names = list(columns)
    return [
        {"step": str(step), "epoch": "0"} | dict.fromkeys(names, "") | {name: str(value)}
        for name, points in columns.items()
        for step, value in points
    ]


def drawn(rows):
    return loss_curves(rows, KNOWN)


def panels_of(figure):
    return {axes.get_title(loc="left"): axes for axes in figure.axes}


def test_train_and_validation_share_a_panel():
    rows = table(**{"train/loss": [(9, 5.0), (19, 4.0)], "val/loss": [(20, 4.5)]})
    [axes] = drawn(rows).axes
    lines = {line.get_label(): line for line in axes.lines}
    assert lines["train"].get_xydata().tolist() == [[9, 5.0], [19, 4.0]]
    assert lines["validation"].get_xydata().tolist() == [[20, 4.5]]
    assert lines["validation"].get_marker() == "o", "a single point without a marker is not seen"
    assert (lines["train"].get_color(), lines["validation"].get_color()) == (BLUE, VERMILLION)
    assert {text.get_text() for text in axes.get_legend().texts} == {"train", "validation"}
    assert axes.get_xlabel() == "step"


def test_panels_stand_in_a_known_order_and_carry_units():
    names = ["train/mmd", "train/kl", "val/bits_per_dimension", "train/loss"]
    figure = drawn(table(**{name: [(1, 1.0)] for name in names}))
    shown = [(axes.get_title(loc="left"), axes.get_ylabel()) for axes in figure.axes]
    assert shown == [
        ("loss", "nats per image"),
        ("kl", "nats per image"),
        ("bits per dimension", "bits per dimension"),
        ("mmd", ""),
    ]


def test_columns_of_no_stage_and_values_that_are_not_finite_are_left_out():
    rows = table(**{"lr-Adam": [(1, 1.0)], "train/loss": [(1, 2.0), (2, "nan"), (3, "inf")]})
    [axes] = drawn(rows).axes
    assert axes.lines[0].get_xydata().tolist() == [[1, 2.0]]


@pytest.mark.parametrize("start", [1e3, 1e9])
def test_high_losses_of_the_start_do_not_flatten_the_rest(start):
    points = [(0, start), *((step, 10 + step / 100) for step in range(10, 101, 10))]
    [axes] = drawn(table(**{"train/loss": points})).axes
    low, high = axes.get_ylim()
    assert 9 < low < 10.1
    assert 11 < high < 12
    assert f"up to {start:.4g} before step 10" == axes.get_title(loc="right")


def test_a_late_peak_is_shown():
    points = [(step, 1.0 + 50 * (step == 90)) for step in range(101)]
    [axes] = drawn(table(**{"train/loss": points})).axes
    assert axes.get_ylim()[1] > 51
    assert axes.get_title(loc="right") == ""


def test_a_table_without_losses_says_so():
    assert list(panels_of(drawn([]))) == ["no losses logged yet"]


def test_a_long_training_curve_is_its_moving_average_before_faint_batches():
    values = [10.0 + (-1) ** step for step in range(200)]
    [axes] = drawn(table(**{"train/loss": list(enumerate(values))})).axes
    batches, mean = axes.lines
    assert batches.get_alpha() < 0.5
    assert batches.get_ydata().tolist() == values
    inner = np.array(mean.get_ydata())[10:-10]
    np.testing.assert_allclose(inner, 10, atol=1e-9)
    assert [text.get_text() for text in axes.get_legend().texts] == ["train"]


def test_what_never_changes_takes_no_place():
    units = {"val/active_units": [(1, 8.0), (2, 8.0)]}
    losses = {"val/loss": [(1, 3.0), (2, 3.5)]}
    assert list(panels_of(drawn(table(**units, **losses)))) == ["loss"]
    assert list(panels_of(drawn(table(**units)))) == ["active units"]
    once = {"val/kl": [(1, 3.0)]}
    assert list(panels_of(drawn(table(**once, **losses)))) == ["loss", "kl"]


@pytest.fixture
def figure():
    return compared_curves({"a": [Curve([1.0, 2.0], [3.0, 1.0])]}, "val/loss", "nats per image")


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
    svg = to_svg(figure, "one")
    assert "var(--ink,#222222)" in svg
    assert "var(--blue,#0072b2)" in svg
    assert "#ffffff" not in svg
    outside = re.sub(r"var\([^)]*\)", "", svg)
    assert not re.search(r"#(222222|666666|999999|dddddd|000000)", outside)


def test_runs_differ_in_more_than_colour():
    curves = {name: [Curve([1.0, 2.0], [1.0, 2.0])] * 2 for name in ("_a", "b", "$c$", "d{$")}
    [axes] = compared_curves(curves, "val/loss", "nats per image").axes
    assert len({(line.get_linestyle(), line.get_marker()) for line in axes.lines}) == 4
    assert len(axes.lines) == 8, "a line a seed"
    shown = [text.get_text().strip() for text in axes.get_legend().texts]
    assert shown == list(curves)
    assert axes.get_ylabel() == "nats per image"
    to_array(axes.figure)


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
