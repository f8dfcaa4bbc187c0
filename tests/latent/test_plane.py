import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.decomposition import PCA

from lightning_gen.errors import UserError
from lightning_gen.latent import Plane, coordinate_plane, normal_quantiles, principal_plane


def test_codes_of_a_plane_come_row_by_row():
    plane = Plane(torch.tensor([1.0, 1, 1]), torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 2, 0]))
    codes = plane.codes(torch.tensor([0.0, 1, 2]), torch.tensor([0.0, 10]))
    assert codes.tolist() == [[1 + x, 1 + 2 * y, 1] for y in (0, 10) for x in (0, 1, 2)]


def test_a_condition_is_the_same_everywhere():
    plane = Plane(torch.zeros(2), torch.eye(2)[0], torch.eye(2)[1])
    condition = torch.tensor([0.0, 7.0, 0.5])
    codes = plane.with_condition(condition).codes(torch.randn(3), torch.randn(2))
    assert codes.shape == (6, 5)
    assert (codes[:, 2:] == condition).all()
    assert codes[:, :2].unique(dim=0).shape == (6, 2)


def test_a_plane_of_two_dimensions_keeps_the_others():
    origin = torch.tensor([1.0, 2, 3, 4])
    codes = coordinate_plane(origin, 3, 1).codes(torch.tensor([5.0, 6]), torch.tensor([7.0]))
    assert codes.tolist() == [[1, 7, 3, 5], [1, 7, 3, 6]]


@pytest.mark.parametrize("dimensions", [(0, 0), (0, 3), (-1, 1)])
def test_dimensions_that_span_no_plane_are_refused(dimensions):
    with pytest.raises(UserError, match="two different latent dimensions from 0 to 2, got"):
        coordinate_plane(torch.zeros(3), *dimensions)


def codes_of(spectrum, count=300):
    size = len(spectrum)
    rotation = torch.linalg.qr(torch.randn(size, size)).Q
    return torch.randn(count, size) * torch.tensor(spectrum) @ rotation + torch.randn(size)


SPECTRA = {
    "two large": [5.0, 3.0, 0.1, 0.1],
    "two alone": [3.0, 1.0],
    "nearly even": np.linspace(1.2, 0.9, 40).tolist(),
    "even": [1.0] * 100,
    "wide": [4.0, 2.0, *[0.5] * 400],
}


@pytest.mark.parametrize("spectrum", SPECTRA.values(), ids=SPECTRA)
def test_principal_plane_agrees_with_scikit_learn(spectrum):
    codes = codes_of(spectrum)
    plane = principal_plane(codes)
    pca = PCA(2, svd_solver="full").fit(codes.double().numpy())
    np.testing.assert_allclose(plane.origin, pca.mean_, atol=1e-5)
    for axis, component, variance in zip(
        (plane.x_axis, plane.y_axis), pca.components_, pca.explained_variance_, strict=True
    ):
        assert axis.norm().item() == pytest.approx(variance**0.5, rel=1e-3)
        assert abs(axis.double().numpy() @ component) == pytest.approx(variance**0.5, rel=1e-2)
        assert axis[axis.abs().argmax()] > 0, "the sign of an axis changes from time to time"


def test_the_principal_plane_does_not_depend_on_the_random_state():
    codes = codes_of(SPECTRA["even"])
    first, second = principal_plane(codes), principal_plane(codes)
    torch.testing.assert_close(first.x_axis, second.x_axis, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(first.y_axis, second.y_axis, atol=1e-4, rtol=1e-3)


def test_the_axes_of_codes_that_are_no_numbers_are_refused():
    with pytest.raises(UserError, match="4 of 4 codes are NaN or infinite"):
        principal_plane(torch.full((4, 3), torch.nan))


@pytest.mark.parametrize("shape", [(1, 4), (2, 4), (5, 1)])
def test_too_few_codes_for_two_axes_leave_one_still(shape):
    plane = principal_plane(torch.randn(shape))
    codes = plane.codes(torch.linspace(-2, 2, 5), torch.linspace(-2, 2, 5))
    assert codes.shape == (25, shape[1])
    assert codes.isfinite().all()


@pytest.mark.parametrize(("steps", "mass"), [(2, 0.98), (15, 0.98), (7, 0.5)])
def test_quantiles_lie_at_even_probabilities(steps, mass):
    quantiles = normal_quantiles(steps, mass)
    probabilities = np.linspace((1 - mass) / 2, (1 + mass) / 2, steps)
    np.testing.assert_allclose(stats.norm.cdf(quantiles.double()), probabilities, atol=1e-6)
    torch.testing.assert_close(quantiles, -quantiles.flip(0))
