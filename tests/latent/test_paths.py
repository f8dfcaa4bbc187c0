import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_gen.errors import UserError
from lightning_gen.latent import PATHS, linear, spherical


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


def test_orthogonal_unit_codes_stay_on_the_sphere_in_even_angles():
    start, end = torch.eye(6)[:3], torch.eye(6)[3:]
    codes = spherical(start, end, 7)
    torch.testing.assert_close(codes.norm(dim=2), torch.ones(3, 7))
    cosines = (codes[:, 1:] * codes[:, :-1]).sum(dim=2)
    torch.testing.assert_close(cosines.acos(), torch.full((3, 6), math.pi / 12))


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
    with pytest.raises(UserError, match=f"at least 2, got {steps}"):
        path(torch.zeros(1, 2), torch.ones(1, 2), steps)
