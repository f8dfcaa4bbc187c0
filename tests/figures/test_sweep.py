import numpy as np

from lightning_gen.figures.style import to_array
from lightning_gen.figures.sweep import SweptParameter, sweep_panels

DIM = SweptParameter("model.latent_dim", ["2", "10", "2", "10"], ["2", "10", "50"])


def panel_of(parameter, metric, *, name="val/loss", unit="nats per image", minimize=True):
    figure = sweep_panels([parameter], metric, name, unit, minimize=minimize)
    to_array(figure)
    return figure.axes[0]


def dots(panel):
    everything, best = panel.collections
    return np.asarray(everything.get_offsets()).tolist(), np.asarray(best.get_offsets()).tolist()


def test_choices():
    panel = panel_of(DIM, [110.0, 100.0, 112.0, 104.0])
    trials, best = dots(panel)
    assert trials == [[0, 110], [1, 100], [0, 112], [1, 104]]
    assert best == [[1, 100]]
    (median,) = panel.lines
    assert median.get_xydata().tolist() == [[0, 111], [1, 102]]
    assert [tick.get_text() for tick in panel.get_xticklabels()] == ["2", "10", "50"]


def test_more_can_be_better():
    assert dots(panel_of(DIM, [1.0, 2.0, 4.0, 3.0], minimize=False))[1] == [[0, 4]]


def test_a_logarithmic_range():
    rates = [float(10**power) for power in np.linspace(-4, -2, 20)]
    panel = panel_of(SweptParameter("model.optimizer.lr", rates, log=True), list(map(float, rates)))
    assert panel.get_xscale() == "log"
    x, y = panel.lines[0].get_xydata().T
    assert len(x) == 4
    assert np.all(np.diff(x) > 0)
    assert np.allclose(x, y), "the median of each five neighbours"


def test_few_trials_of_a_range_have_no_median():
    panel = panel_of(SweptParameter("model.beta", [1.0, 2.0]), [1.0, 2.0])
    assert panel.get_xscale() == "linear"
    assert panel.lines[0].get_xydata().size == 0


def test_a_panel_a_parameter():
    figure = sweep_panels(
        [DIM, DIM._replace(name="data.x_y"), DIM], 4 * [1.0], "x", "", minimize=True
    )
    keys = ["model.latent_dim", "data.x_y", "model.latent_dim"]
    assert [axes.get_xlabel() for axes in figure.axes] == keys
    assert [axes.get_title(loc="left") for axes in figure.axes][:2] == ["latent dim", "x y"]


def test_the_axis_says_what_is_better():
    assert panel_of(DIM, 4 * [1.0]).get_ylabel() == "val/loss\nnats per image (less is better)"
    more = panel_of(DIM, 4 * [1.0], name="x", unit="", minimize=False)
    assert more.get_ylabel() == "x\n(more is better)"


def test_long_choices_do_not_overlap():
    widths = ["[400, 400]", "[400, 400, 400]", "[400, 400, 400, 400]"]
    parameters = 3 * [SweptParameter("model.widths", widths, widths)]
    figure = sweep_panels(parameters, [1.0, 2.0, 3.0], "val/loss", "nats", minimize=True)
    to_array(figure)
    for axes in figure.axes:
        low = min(text.get_window_extent().y0 for text in axes.get_xticklabels())
        assert low > axes.xaxis.label.get_window_extent().y1
        assert {text.get_rotation() for text in axes.get_xticklabels()} == {35}
