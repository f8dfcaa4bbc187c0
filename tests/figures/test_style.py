import pytest
from matplotlib.figure import Figure

from lightning_gen.figures import to_array
from lightning_gen.figures.style import panels


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
