import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.decomposition import PCA

from lightning_gen.latent import PATHS, linear, normal_quantiles, principal_plane, spherical
from support.refusals import assert_refused


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


def test_the_axes_of_codes_that_are_no_numbers_are_refused():
    codes = torch.full((4, 3), torch.nan)
    assert_refused("4 of 4 codes are NaN or infinite", principal_plane, codes)


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


def unit(n, d):
    return torch.nn.functional.normalize(torch.randn(n, d), dim=1)


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_both_ends_are_included(path):
    start, end = torch.randn(5, 8), torch.randn(5, 8)
    codes = path(start, end, 7)
    assert codes.shape == (5, 7, 8)
    torch.testing.assert_close(codes[:, 0], start)
    torch.testing.assert_close(codes[:, -1], end)


@given(st.floats(0.01, 100), st.integers(2, 12))
def test_a_straight_line_has_even_steps(scale, steps):
    start, end = scale * torch.randn(3, 4), torch.randn(3, 4)
    moves = linear(start, end, steps).diff(dim=1)
    expected = ((end - start) / (steps - 1))[:, None].expand_as(moves)
    torch.testing.assert_close(moves, expected, atol=1e-5 * scale, rtol=1e-4)


def test_the_arc_of_any_unit_codes_stays_on_the_sphere():
    codes = spherical(unit(50, 16), unit(50, 16), 9)
    torch.testing.assert_close(codes.norm(dim=2), torch.ones(50, 9))
    cosines = (codes[:, 1:] * codes[:, :-1]).sum(dim=2)
    torch.testing.assert_close(cosines, cosines[:, :1].expand_as(cosines))


@pytest.mark.parametrize("factor", [1.0, 3.0, 0.1, -1.0, -2.5, 0.0])
@pytest.mark.parametrize("size", [1, 2, 20, 512])
def test_parallel_opposite_and_zero_codes_give_the_line(factor, size):
    """Many codes: the rounding of their cosine must not turn a line into an arc."""
    start = torch.randn(200, size)
    for ends in ((start, factor * start), (factor * start, start)):
        expected = linear(*ends, 9)
        torch.testing.assert_close(spherical(*ends, 9), expected, atol=1e-4, rtol=1e-4)


def test_nearly_parallel_codes_stay_between_their_ends():
    start = torch.randn(100, 8)
    codes = spherical(start, start + 1e-3 * torch.randn(100, 8), 5)
    assert codes.isfinite().all()
    assert (codes - start[:, None]).abs().max() < 0.01


@pytest.mark.parametrize("steps", [1, 0, -3])
@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_less_than_two_steps_are_refused(path, steps):
    assert_refused(f"at least 2, got {steps}", path, torch.zeros(1, 2), torch.ones(1, 2), steps)
