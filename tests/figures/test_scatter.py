from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex, to_rgb

from lightning_gen.figures.code_charts import codebook_bars, kl_bars
from lightning_gen.figures.scatter import MOST_CLASSES, scatter
from lightning_gen.figures.style import BLUE, CLASS_STYLES, GREY, label, panels, to_array

AXES = ("z0", "z1")
FASHION = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


def drawn(points, labels, names):
    figure = scatter(points, labels, names, "title", AXES)
    return figure, to_array(figure), figure.axes[0]


def groups(count, classes, spread=0.1):
    """Points around the places of their classes on a circle."""
    labels = torch.arange(count) % classes
    angles = 2 * torch.pi * labels / classes
    centres = torch.stack([angles.cos(), angles.sin()], dim=1)
    return centres + spread * torch.randn(count, 2), labels


def test_title_axes_and_points():
    points, labels = groups(30, 3)
    _, _, axes = drawn(points, labels, "abc")
    assert axes.get_title(loc="left") == "title"
    assert (axes.get_xlabel(), axes.get_ylabel()) == AXES
    for number, shown in enumerate(axes.collections):
        np.testing.assert_allclose(shown.get_offsets(), points[labels == number])


@pytest.mark.parametrize("count", [2, 10, MOST_CLASSES])
def test_every_class_is_in_the_legend_and_looks_its_own_way(count):
    names = [f"class {number}" for number in range(count)]
    _, _, axes = drawn(*groups(200, count), names)
    assert [text.get_text() for text in axes.get_legend().texts] == names
    looks = {
        (to_hex(shown.get_facecolor()[0]), shown.get_paths()[0].vertices.tobytes())
        for shown in axes.collections
    }
    assert len(looks) == count


@pytest.mark.parametrize(("spread", "scale"), [(0.0, 1e-3), (0.05, 1.0), (5.0, 1e4)])
def test_names_do_not_overlap(spread, scale):
    points, labels = groups(1000, 10, spread)
    figure, _, axes = drawn(scale * points, labels, FASHION)
    assert {text.get_text() for text in axes.texts} <= set(FASHION)
    assert len(axes.texts) >= 5
    boxes = [text.get_window_extent(figure.canvas.get_renderer()) for text in axes.texts]
    for one, other in combinations(boxes, 2):
        assert not one.overlaps(other)


def test_a_name_stands_among_the_points_of_its_class():
    points, labels = groups(400, 4, 0.05)
    _, _, axes = drawn(points, labels, "abcd")
    for text in axes.texts:
        mine = points[labels == "abcd".index(text.get_text())]
        place = torch.tensor(text.xy, dtype=torch.float32)
        assert (mine - place).norm(dim=1).max() < 0.6


def test_the_legend_covers_no_points():
    figure, picture, axes = drawn(*groups(100, 10), FASHION)
    renderer = figure.canvas.get_renderer()
    legend = axes.get_legend().get_window_extent(renderer)
    assert legend.x0 >= axes.get_window_extent(renderer).x1
    assert legend.x1 <= picture.shape[1]


def test_many_classes_are_a_scale_of_colours():
    points, labels = groups(300, 100)
    figure, _, axes = drawn(points, labels, [str(number) for number in range(100)])
    assert axes.get_legend() is None
    assert not axes.texts
    [shown] = axes.collections
    np.testing.assert_array_equal(shown.get_array(), labels)
    assert figure.axes[1].get_ylabel() == "class"


@pytest.mark.parametrize("names", [(), ("image",)])
def test_one_class_is_grey_without_a_legend(names):
    _, _, axes = drawn(torch.randn(20, 2), torch.zeros(20, dtype=torch.int64), names)
    assert axes.get_legend() is None
    assert to_hex(axes.collections[0].get_facecolor()[0]) == GREY


def test_a_class_without_points_is_in_the_legend_alone():
    points = torch.randn(20, 2)
    _, _, axes = drawn(points, 2 * (torch.arange(20) % 2), "abc")
    assert [text.get_text() for text in axes.get_legend().texts] == ["a", "b", "c"]
    assert {text.get_text() for text in axes.texts} <= {"a", "c"}
    assert sum(len(shown.get_offsets()) for shown in axes.collections) == 20


@pytest.mark.parametrize("points", [torch.zeros(5, 2), torch.randn(1, 2)], ids=["all alike", "one"])
def test_points_without_extent_are_drawn(points):
    labels = torch.arange(len(points)) % 3
    _, picture, axes = drawn(points, labels, "abc")
    assert (picture < 250).any()
    assert len(axes.texts) == 1


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
    assert axes.get_title(loc="left") == "2 of 4 latent dimensions active, KL to N(0, I) 4.0 nats"
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
