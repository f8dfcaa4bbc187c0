import math

import pytest
import torch
from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel
from torch.testing import assert_close

from lightning_gen.objectives import RBF, InverseMultiquadratics
from lightning_gen.objectives.mmd import maximum_mean_discrepancy
from support.refusals import assert_refused

KERNELS = [InverseMultiquadratics(), RBF(), RBF((0.5, 4.0))]
each_kernel = pytest.mark.parametrize("kernel", KERNELS)


def squared_distance(a, b):
    return sum((p - q) ** 2 for p, q in zip(a, b, strict=True))


def inverse_multiquadratics(a, b):
    """The paper's kernel, written out: sum of C / (C + ||a - b||^2), C = 2 d sigma_z^2 s."""
    constants = [2 * len(a) * scale for scale in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)]
    return sum(c / (c + squared_distance(a, b)) for c in constants)


def zhao(a, b):
    """As in the code of InfoVAE: the mean over dimensions, divided by their number."""
    return math.exp(-squared_distance(a, b) / len(a) / len(a))


def double_loop(x, y, kernel):
    """Algorithm 2 of Tolstikhin et al. 2018, one pair after the other."""
    n, m = len(x), len(y)
    within_x = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j)
    within_y = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j)
    between = sum(kernel(a, b) for a in x for b in y)
    return within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * between / (n * m)


@pytest.mark.parametrize(("n", "m", "d"), [(2, 2, 1), (9, 9, 4), (12, 7, 3)])
@pytest.mark.parametrize(
    ("kernel", "by_hand"),
    [(InverseMultiquadratics(), inverse_multiquadratics), (None, zhao)],
    ids=["inverse multiquadratics", "rbf of Zhao"],
)
def test_against_a_plain_double_loop(n, m, d, kernel, by_hand):
    x, y = 2 * torch.randn(n, d) + 1, torch.randn(m, d)
    found = maximum_mean_discrepancy(x, y, kernel or RBF((d / 2,)))
    assert found.item() == pytest.approx(double_loop(x.tolist(), y.tolist(), by_hand), abs=1e-5)


@pytest.mark.parametrize(("n", "m", "d"), [(40, 40, 1), (60, 30, 10)])
def test_kernels_against_scikit_learn(n, m, d):
    x, y = 3 * torch.randn(n, d) + 1, torch.randn(m, d)
    scales = (0.5, 4.0)
    expected = sum(rbf_kernel(x, y, gamma=1 / (2 * d * scale)) for scale in scales)
    assert_close(RBF(scales)(x, y), torch.from_numpy(expected).float(), atol=1e-5, rtol=1e-4)
    distances = torch.from_numpy(euclidean_distances(x, y, squared=True)).float()
    kernel = InverseMultiquadratics()
    expected = sum(2 * d * s / (2 * d * s + distances) for s in kernel.scales)
    assert_close(kernel(x, y), expected, atol=1e-5, rtol=1e-4)


@each_kernel
def test_equal_codes_have_a_finite_gradient(kernel):
    codes = torch.zeros(8, 2, requires_grad=True)
    maximum_mean_discrepancy(codes, torch.randn(8, 2), kernel).backward()
    assert torch.isfinite(codes.grad).all()
    assert codes.grad.abs().sum() > 0


@pytest.mark.parametrize("n", [0, 1])
@each_kernel
def test_without_a_pair_nothing_is_said(kernel, n):
    codes = torch.randn(n, 3, requires_grad=True)
    value = maximum_mean_discrepancy(codes, torch.randn(5, 3), kernel)
    assert value.item() == 0
    value.backward()
    assert torch.equal(codes.grad, torch.zeros(n, 3))


@each_kernel
def test_in_float32_under_autocast(kernel):
    x, y = 5 + torch.randn(50, 8), torch.randn(50, 8)
    expected = maximum_mean_discrepancy(x, y, kernel)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(maximum_mean_discrepancy(x, y, kernel), expected)
        assert maximum_mean_discrepancy(x.bfloat16(), y, kernel).dtype == torch.float32


@pytest.mark.parametrize("kind", [InverseMultiquadratics, RBF])
@pytest.mark.parametrize("scales", [(), (1.0, 0.0), (-1.0,), (math.inf,), (math.nan,)])
def test_bad_scales(kind, scales):
    assert_refused(rf"{kind.__name__}\.scales .* above 0, got \[", kind, scales)
