import numpy as np
import pytest

from lightning_gen.figures import loss_curves
from lightning_gen.figures.style import BLUE, VERMILLION


def table(**columns):
    """Rows of a metrics.csv: one value a row, all other cells empty."""
    names = list(columns)
    return [
        {"step": str(step), "epoch": "0"} | dict.fromkeys(names, "") | {name: str(value)}
        for name, points in columns.items()
        for step, value in points
    ]


def panels_of(figure):
    return {axes.get_title(loc="left"): axes for axes in figure.axes}


def test_train_and_validation_share_a_panel():
    rows = table(**{"train/loss": [(9, 5.0), (19, 4.0)], "val/loss": [(20, 4.5)]})
    [axes] = loss_curves(rows).axes
    lines = {line.get_label(): line for line in axes.lines}
    assert lines["train"].get_xydata().tolist() == [[9, 5.0], [19, 4.0]]
    assert lines["validation"].get_xydata().tolist() == [[20, 4.5]]
    assert lines["validation"].get_marker() == "o", "a single point without a marker is not seen"
    assert (lines["train"].get_color(), lines["validation"].get_color()) == (BLUE, VERMILLION)
    assert {text.get_text() for text in axes.get_legend().texts} == {"train", "validation"}
    assert axes.get_xlabel() == "step"


def test_panels_stand_in_a_known_order_and_carry_units():
    names = ["train/mmd", "train/kl", "val/bits_per_dimension", "train/loss"]
    figure = loss_curves(table(**{name: [(1, 1.0)] for name in names}))
    shown = [(axes.get_title(loc="left"), axes.get_ylabel()) for axes in figure.axes]
    assert shown == [
        ("loss", "nats per image"),
        ("kl", "nats per image"),
        ("bits per dimension", "bits per dimension"),
        ("mmd", ""),
    ]


def test_columns_of_no_stage_and_values_that_are_not_finite_are_left_out():
    rows = table(**{"lr-Adam": [(1, 1.0)], "train/loss": [(1, 2.0), (2, "nan"), (3, "inf")]})
    [axes] = loss_curves(rows).axes
    assert axes.lines[0].get_xydata().tolist() == [[1, 2.0]]


@pytest.mark.parametrize("start", [1e3, 1e9])
def test_high_losses_of_the_start_do_not_flatten_the_rest(start):
    points = [(0, start), *((step, 10 + step / 100) for step in range(10, 101, 10))]
    [axes] = loss_curves(table(**{"train/loss": points})).axes
    low, high = axes.get_ylim()
    assert 9 < low < 10.1
    assert 11 < high < 12
    assert f"up to {start:.4g} before step 10" == axes.get_title(loc="right")


def test_a_late_peak_is_shown():
    points = [(step, 1.0 + 50 * (step == 90)) for step in range(101)]
    [axes] = loss_curves(table(**{"train/loss": points})).axes
    assert axes.get_ylim()[1] > 51
    assert axes.get_title(loc="right") == ""


def test_a_table_without_losses_says_so():
    assert list(panels_of(loss_curves([]))) == ["no losses logged yet"]


def test_a_long_training_curve_is_its_moving_average_before_faint_batches():
    values = [10.0 + (-1) ** step for step in range(200)]
    [axes] = loss_curves(table(**{"train/loss": list(enumerate(values))})).axes
    batches, mean = axes.lines
    assert batches.get_alpha() < 0.5
    assert batches.get_ydata().tolist() == values
    inner = np.array(mean.get_ydata())[10:-10]
    np.testing.assert_allclose(inner, 10, atol=1e-9)
    assert [text.get_text() for text in axes.get_legend().texts] == ["train"]


def test_what_never_changes_takes_no_place():
    units = {"val/active_units": [(1, 8.0), (2, 8.0)]}
    losses = {"val/loss": [(1, 3.0), (2, 3.5)]}
    assert list(panels_of(loss_curves(table(**units, **losses)))) == ["loss"]
    assert list(panels_of(loss_curves(table(**units)))) == ["active units"]
    once = {"val/kl": [(1, 3.0)]}
    assert list(panels_of(loss_curves(table(**once, **losses)))) == ["loss", "kl"]
