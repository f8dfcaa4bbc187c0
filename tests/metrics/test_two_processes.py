import math

import numpy as np
import pytest
import torch

from lightning_gen import metrics as m
from lightning_gen.metrics import generation as g
from support import scores
from support.processes import on_two_processes
from support.scores import shown, updated

SHARES = slice(None, 120), slice(120, None)


def metrics():
    """Each metric and what it is given: 400 images, or 1,400 where it works in blocks."""
    torch.manual_seed(0)
    values, anomalous = torch.randn(400), torch.rand(400) < 0.3
    mean, log_var = torch.randn(400, 4) * torch.tensor([0, 0.01, 1, 1]), torch.randn(400, 4)
    mean[SHARES[0], 0], mean[SHARES[1], 0] = -0.15, 0.15  # a share alone does not vary
    many = 0.8 * torch.randn(1400, 2), torch.full((1400, 2), 2 * math.log(0.6))
    factors = torch.stack([torch.randint(size, (400,)) for size in (3, 4, 5)], dim=1)
    codes = factors + 0.5 * factors.roll(1, dims=1) + torch.randn(400, 3)
    return {
        "mean": (m.MeanOverImages(), values),
        "auroc": (m.AUROC(), values + anomalous, anomalous),
        "codes": (m.CodeCounts(2, 5), torch.randint(5, (400, 6, 2))),
        "modes": (g.ModeCounts(6), torch.randint(5, (400,))),
        "kl": (m.KLPerDimension(4), mean, log_var),
        "active": (m.ActiveUnits(4), mean),
        "information": (m.MutualInformation(), *many),
        "mmd": (m.PriorMMD(), *many),
    } | {name: (metric, codes, factors) for name, metric in scores.metrics().items()}


def numbers(found):
    """All numbers of what a metric gives."""
    if isinstance(found, tuple):
        return [number for part in found for number in numbers(part)]
    return torch.as_tensor(found).double().flatten().tolist()


def measured(share=slice(None)):
    found = {}
    for name, (metric, *tensors) in metrics().items():
        updated(metric, *(tensor[share] for tensor in tensors))
        found[name] = numbers(metric.compute())
        metric.reset()
    return found


def test_every_metric_is_of_all_images(tmp_path):
    alone = measured()
    assert alone["active"] == [3]
    first, second = on_two_processes(lambda rank: measured(SHARES[rank]), tmp_path)
    for name, expected in alone.items():
        np.testing.assert_array_equal(first[name], second[name], name)
        exact = 0 if name in scores.metrics() else 1e-6
        np.testing.assert_allclose(first[name], expected, rtol=exact, atol=exact, err_msg=name)


def generation(real, generated):
    """Every value and every standard error, after updates of 16 images."""
    frechet, kernel = g.FrechetDistance(real.shape[1], groups=5), g.KernelDistance(groups=5)
    precision_recall, density_coverage = g.PrecisionRecall(), g.DensityCoverage()
    for metric in (frechet, kernel, precision_recall, density_coverage):
        if len(real):
            shown(metric, real, generated, batch_size=16)
    estimates = frechet.compute(), kernel.compute()
    estimates += (*precision_recall.compute(), *density_coverage.compute())
    values, errors = zip(*estimates, strict=True)
    return torch.stack(values).tolist(), torch.stack(errors).tolist()


def generation_of_shares(rank, real, generated):
    share = (real[:30], generated[:77]) if rank == 0 else (real[30:], generated[77:])
    everything_or_nothing = (real, generated) if rank == 0 else (real[:0], generated[:0])
    return generation(*share), generation(*everything_or_nothing)


@pytest.mark.slow
def test_scores_of_samples_are_of_all_images(tmp_path):
    real, generated = torch.randn(120, 8), 0.3 + 1.2 * torch.randn(110, 8)
    values, errors = generation(real, generated)
    first, second = on_two_processes(generation_of_shares, tmp_path, real, generated)
    assert first == second
    (uneven, uneven_errors), (idle, idle_errors) = first
    assert uneven == pytest.approx(values, rel=1e-6)
    assert uneven_errors[2:] == pytest.approx(errors[2:], rel=1e-6)
    # the jackknife's groups are others, the size of the error is not
    for error, expected in zip(uneven_errors[:2], errors[:2], strict=True):
        assert 0.4 < error / expected < 2.5
    assert idle == pytest.approx(values, rel=1e-6)
    assert idle_errors == pytest.approx(errors, rel=1e-6)
