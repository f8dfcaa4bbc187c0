import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

from lightning_gen.metrics.generation import KernelDistance, kernel_distance


def updated(real, generated, batch_size=64, **arguments):
    metric = KernelDistance(**arguments)
    for part in real.split(batch_size):
        metric.update(part, real=True)
    for part in generated.split(batch_size):
        metric.update(part, real=False)
    return metric


def by_definition(real, generated, dtype=np.float64):
    """The unbiased estimate with the whole matrices in memory."""
    x, y = real.numpy().astype(dtype), generated.numpy().astype(dtype)

    def kernel(a, b):
        return (a @ b.T / dtype(a.shape[1]) + 1) ** 3

    def within(a):
        gram = kernel(a, a)
        return (gram.sum() - np.trace(gram)) / dtype(len(a) * (len(a) - 1))

    return within(x) + within(y) - 2 * kernel(x, y).mean()


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(kernel_distance, "BLOCK", 17)


def test_three_images_by_hand():
    # D = 1: k = (x y + 1)^3. Pairs of reals: 1; of generated: 27; between: 1, 1, 8, 27.
    real, generated = torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [2.0]])
    value, error = updated(real, generated, groups=0).compute()
    assert value.item() == pytest.approx(1 + 27 - 2 * (1 + 1 + 8 + 27) / 4)
    assert error.isnan()


@pytest.mark.usefixtures("small_blocks")
def test_agrees_with_torch_fidelity_on_all_pairs():
    real, generated = torch.randn(100, 16), 0.2 + 1.1 * torch.randn(100, 16)
    reference = kid_features_to_metric(
        generated.double(), real.double(), kid_subsets=1, kid_subset_size=100, verbose=False
    )
    value = updated(real, generated).compute().value.item()
    assert value == pytest.approx(reference[KEY_METRIC_KID_MEAN], rel=1e-9)


@pytest.mark.usefixtures("small_blocks")
def test_sets_of_different_sizes_agree_with_the_definition():
    real, generated = torch.randn(90, 5), 0.2 + torch.randn(51, 5)
    value = updated(real, generated).compute().value
    assert value.item() == pytest.approx(by_definition(real, generated), rel=1e-9)


def test_a_large_common_offset_leaves_the_value_right():
    real, generated = 1000 + torch.randn(60, 8) / 8, 1000.1 + torch.randn(60, 8) / 8
    expected = by_definition(real, generated, dtype=np.longdouble)
    assert updated(real, generated).compute().value.item() == pytest.approx(float(expected), 1e-6)


def test_two_draws_of_one_distribution_are_at_zero_and_noise_is_far():
    real, again = torch.randn(1000, 16), torch.randn(1000, 16)
    same = updated(real, again).compute()
    noise = updated(real, 2 * torch.rand(1000, 16)).compute()
    assert abs(same.value) < 3 * same.standard_error
    assert noise.value > 50 * noise.standard_error
