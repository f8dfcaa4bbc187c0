"""The look of all charts; how much of a code is used, as bars."""

from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex, to_rgb

from lightning_gen.figures.code_charts import codebook_bars, kl_bars
from lightning_gen.figures.style import BLUE, CLASS_STYLES, GREY, label, panels, to_array


@pytest.mark.parametrize(
    ("count", "shape"), [(1, (1, 1)), (2, (1, 2)), (3, (1, 3)), (4, (2, 2)), (5, (2, 3))]
)
def test_panels_are_laid_out_in_rows(count, shape):
    figure, axes = panels(count, inches=(2.0, 1.0))
    assert len(axes) == count
    assert to_array(figure).shape == (100 * shape[0], 200 * shape[1], 3)


def lab(colour):
    """CIELAB of an sRGB colour (CIE 15:2004), white D65."""
    linear = np.array(
        [(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4) for c in colour]
    )
    matrix = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(matrix @ linear / np.array([0.9505, 1.0, 1.089]))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_twenty_classes_have_twenty_colours_that_differ():
    assert len(CLASS_STYLES) == 20
    places = [lab(to_rgb(colour)) for colour, _ in CLASS_STYLES]
    assert min(np.linalg.norm(a - b) for a, b in combinations(places, 2)) > 20
    assert all(one[1] != other[1] for one, other in pairwise(CLASS_STYLES))


def test_a_long_title_is_broken_and_stays_in_the_picture():
    figure, [axes] = panels(1)
    label(axes, "What a run with a very long name knows: classes of 10,000 images", "x", "y")
    ink = (to_array(figure) < 200).any(axis=2)
    assert "\n" in axes.get_title(loc="left")
    assert not ink[:, -5:].any()


def test_bars_are_sorted_numbered_and_coloured_by_activity():
    kl = torch.tensor([0.5, 2.0, 0.0, 1.5])
    active = torch.tensor([False, True, False, True])
    [axes] = kl_bars(kl, active, "variance over 0.01").axes
    assert [bar.get_height() for bar in axes.patches] == [2.0, 1.5, 0.5, 0.0]
    assert [to_hex(bar.get_facecolor()).upper() for bar in axes.patches] == [BLUE] * 2 + [GREY] * 2
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "3", "0", "2"]
    assert axes.get_title(loc="left") == "2 of 4 latent dimensions active, KL 4.0 nats in all"
    assert "variance over 0.01" in axes.get_legend().texts[0].get_text()


def test_a_collapsed_posterior_looks_empty():
    [axes] = kl_bars(torch.full((8,), 1e-6), torch.zeros(8, dtype=torch.bool), "").axes
    assert axes.get_ylim()[1] >= 0.1


def test_many_dimensions_are_drawn_without_numbers():
    figure = kl_bars(torch.rand(300), torch.ones(300, dtype=torch.bool), "")
    assert len(figure.axes[0].patches) == 300
    assert len(figure.axes[0].get_xticks()) == 0
    assert to_array(figure).shape == (360, 800, 3)


def test_each_codebook_has_a_panel_of_sorted_shares():
    counts = torch.tensor([[1, 0, 3, 4], [2, 2, 2, 2]])
    figure = codebook_bars(counts, torch.tensor([2.65, 4.0]))
    first, second = figure.axes
    [area] = first.collections
    heights = area.get_paths()[0].vertices[:, 1]
    assert {50.0, 37.5, 12.5} <= set(heights.tolist())
    assert heights.max() == 50
    assert first.get_title(loc="left") == "perplexity 3 of 4"
    assert second.get_title(loc="left") == "perplexity 4 of 4"
    assert first.lines[0].get_ydata()[0] == 25
    assert to_array(figure).ndim == 3
