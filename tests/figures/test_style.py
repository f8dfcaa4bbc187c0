from itertools import combinations, pairwise

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from lightning_gen.figures import to_array
from lightning_gen.figures.style import CLASS_STYLES, label, panels


@pytest.mark.parametrize(
    ("count", "shape"), [(1, (1, 1)), (2, (1, 2)), (3, (1, 3)), (4, (2, 2)), (5, (2, 3))]
)
def test_panels_are_laid_out_in_rows(count, shape):
    figure, axes = panels(count, inches=(2.0, 1.0))
    assert len(axes) == count
    assert to_array(figure).shape == (100 * shape[0], 200 * shape[1], 3)


def test_a_figure_of_another_backend_is_refused():
    with pytest.raises(TypeError, match="Agg canvas"):
        to_array(Figure())


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
