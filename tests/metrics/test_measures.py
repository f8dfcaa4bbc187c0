import inspect
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch.distributions import Categorical, Normal, kl_divergence

from lightning_gen import metrics as m
from lightning_gen.errors import UserError
from lightning_gen.metrics.disentanglement import MIG
from lightning_gen.metrics.likelihood import dequantised, log_bin_volume
from support.refusals import assert_refused
from support.scores import updated


def test_mean_and_standard_error_agree_with_numpy():
    values = 1000 + torch.randn(100)
    value, error = updated(m.MeanOverImages(), values).compute()
    assert value.item() == pytest.approx(values.double().mean().item())
    assert error.item() == pytest.approx(values.double().numpy().std(ddof=1) / 10)


def test_equal_numbers_have_no_spread_and_one_image_has_no_standard_error():
    equal = updated(m.MeanOverImages(), torch.full((10,), 0.1)).compute()
    assert equal.standard_error == pytest.approx(0, abs=1e-8)
    value, error = updated(m.MeanOverImages(), torch.tensor([3.0])).compute()
    assert value == 3
    assert error.isnan()


def test_sums_stay_exact_in_a_module_of_half_precision():
    values = 20 + torch.randn(5000)
    found = updated(m.MeanOverImages().to(torch.bfloat16), values).compute()
    assert found == updated(m.MeanOverImages(), values).compute()


@pytest.mark.parametrize(
    ("metric", "shapes", "said"),
    [
        (m.MeanOverImages(), [(5, 1)], r"\['images'\] numbers, got \[5, 1\]"),
        (m.KLPerDimension(6), [(5, 1), (5, 1)], r"\['images', 6\] numbers, got \[5, 1\]"),
    ],
)
def test_other_shapes_are_refused(metric, shapes, said):
    assert_refused(said, metric.update, *map(torch.zeros, shapes))
    update = inspect.unwrap(m.MSE.update)  # the tests' own look at shapes would come first
    with pytest.raises(UserError, match=r"got \[5, 1, 8, 8\] and \[5, 8, 8\]"):
        update(m.MSE(), torch.zeros(5, 1, 8, 8), torch.zeros(5, 8, 8))


@pytest.mark.parametrize("kind", [m.AUROC, m.MutualInformation, m.PriorMMD, MIG])
def test_what_was_seen_is_kept_as_it_was(kind):
    metric, rows = kind(), [torch.randn(200, 2), torch.randint(2, (200, 2)).float()]
    rows = [row[:, 0] if kind is m.AUROC else row for row in rows]
    with pytest.warns(match="before the"), pytest.raises(UserError, match="has seen no image"):
        metric.compute()
    expected = str(updated(kind(), *(row.clone() for row in rows)).compute())
    metric.update(*(row.requires_grad_() for row in rows))
    for row in rows:
        row.detach().zero_()
    assert str(metric.compute()) == expected


def test_a_score_that_is_no_number_is_refused():
    metric = updated(m.AUROC(), torch.full((10,), torch.nan), torch.arange(10) < 5)
    assert_refused("got nan", metric.compute)


def test_a_uniform_density_costs_eight_bits_a_pixel():
    # p(y) = 1 on [0, 1)^D gives every 8-bit image the probability 256^-D.
    log_likelihood = torch.zeros(3) + log_bin_volume(784)
    nats, bits = m.NegativeLogLikelihood(), m.BitsPerDimension(784)
    value = updated(nats, log_likelihood).compute().value.item()
    assert value == pytest.approx(784 * 8 * math.log(2))
    assert updated(bits, log_likelihood).compute().value.item() == pytest.approx(8)


def test_dequantised_images_fill_their_bins_evenly():
    levels = torch.arange(256) / 255
    images = levels.view(1, 1, 16, 16).repeat(100, 1, 1, 1)
    spread = dequantised(images, torch.rand_like(images))
    assert spread.min() >= 0
    assert spread.max() < 1
    assert torch.equal((spread * 256).floor(), (images * 255).round())
    assert (spread * 256 % 1).mean().item() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_the_area_is_scikit_learns_at_any_scale(scale):
    anomalous = torch.rand(300) < 0.3
    scores = scale * (torch.randn(300) + anomalous + 100)  # nats of an image, say
    expected = roc_auc_score(anomalous.numpy(), scores.double().numpy())
    found = updated(m.AUROC(), scores, anomalous).compute()
    assert found.value.item() == pytest.approx(expected, abs=1e-12)


def test_ties_count_half():
    anomalous = torch.rand(200) < 0.5
    scores = torch.randint(4, (200,)).float() + anomalous
    expected = roc_auc_score(anomalous.numpy(), scores.numpy())
    found = updated(m.AUROC(), scores, anomalous).compute()
    assert found.value.item() == pytest.approx(expected)
    assert updated(m.AUROC(), torch.zeros(200), anomalous).compute().value == 0.5


def test_a_perfect_score_is_one_without_error():
    found = updated(m.AUROC(), torch.arange(10.0), torch.arange(10) >= 5).compute()
    assert tuple(found) == (1, 0)


@pytest.mark.parametrize("kind", [torch.bool, torch.int64, torch.uint8, torch.float32])
def test_labels_of_any_type_say_which_are_anomalous(kind):
    anomalous = torch.arange(40) % 3 == 0
    found = updated(m.AUROC(), torch.arange(40.0), anomalous.to(kind)).compute()
    assert found == updated(m.AUROC(), torch.arange(40.0), anomalous).compute()


@pytest.mark.parametrize("anomalies", [0, 1, 9, 10])
def test_one_kind_of_image_is_refused(anomalies):
    metric = updated(m.AUROC(), torch.rand(10), torch.arange(10) < anomalies)
    assert_refused("normal and anomalous", metric.compute)


@pytest.fixture
def posterior():
    return torch.randn(100, 7) * torch.linspace(0.01, 2, 7), torch.randn(100, 7)


def test_kl_agrees_with_torch_distributions(posterior):
    mean, log_var = (part.double() for part in posterior)
    prior = Normal(torch.zeros(()).double(), 1.0)
    expected = kl_divergence(Normal(mean, (log_var / 2).exp()), prior).mean(dim=0)
    torch.testing.assert_close(updated(m.KLPerDimension(7), *posterior).compute(), expected)


def test_active_units_agree_with_numpy(posterior):
    mean, _ = posterior
    active = mean.numpy().var(axis=0) > 0.01
    metric = updated(m.ActiveUnits(7), mean)
    assert 0 < active.sum() < 7
    assert metric.dimensions().tolist() == active.tolist()
    assert metric.compute() == active.sum()


def test_a_small_variance_far_from_zero_is_seen():
    deviations = np.array([0.05, 0.2])
    mean = 1000 + torch.from_numpy(deviations * np.random.default_rng(0).normal(size=(5000, 2)))
    assert updated(m.ActiveUnits(2), mean.float()).dimensions().tolist() == [False, True]


def test_counts_are_of_all_batches():
    indices = torch.randint(7, (30, 4, 2))
    metric = updated(m.CodeCounts(2, 7), indices)
    expected = [np.bincount(indices[:, :, book].flatten(), minlength=7) for book in range(2)]
    np.testing.assert_array_equal(metric.compute(), expected)
    metric.reset()
    assert updated(metric, indices[:1]).compute().sum() == 8


def test_perplexity_agrees_with_torch_distributions():
    counts = torch.randint(0, 50, (3, 40))
    entropy = Categorical(counts.float()).entropy()
    torch.testing.assert_close(m.code_perplexity(counts), entropy.exp())
    assert m.code_use(torch.tensor([[2, 1, 1, 0]])).item() == 0.75
