from itertools import combinations

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from lightning_gen.figures.scatter import MOST_CLASSES, scatter
from lightning_gen.figures.style import GREY, to_array

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
