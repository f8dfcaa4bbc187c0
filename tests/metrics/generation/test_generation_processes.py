import pytest
import torch

from lightning_gen.metrics.generation import (
    DensityCoverage,
    FrechetDistance,
    KernelDistance,
    PrecisionRecall,
)
from support.processes import on_two_processes


def scores(real, generated):
    """Every value and every standard error, after updates of 16 images."""
    frechet, kernel = FrechetDistance(real.shape[1], groups=5), KernelDistance(groups=5)
    precision_recall, density_coverage = PrecisionRecall(), DensityCoverage()
    for metric in (frechet, kernel, precision_recall, density_coverage):
        for part in real.split(16) if len(real) else ():
            metric.update(part, real=True)
        for part in generated.split(16) if len(generated) else ():
            metric.update(part, real=False)
    estimates = frechet.compute(), kernel.compute()
    estimates += (*precision_recall.compute(), *density_coverage.compute())
    values, errors = zip(*estimates, strict=True)
    return torch.stack(values).tolist(), torch.stack(errors).tolist()


def scores_of_shares(rank, real, generated):
    uneven = scores(*((real[:30], generated[:77]) if rank == 0 else (real[30:], generated[77:])))
    nothing = real[:0], generated[:0]
    return uneven, scores(*((real, generated) if rank == 0 else nothing))


@pytest.mark.slow
def test_two_processes_give_the_scores_of_all_images(tmp_path):
    real, generated = torch.randn(120, 8), 0.3 + 1.2 * torch.randn(110, 8)
    values, errors = scores(real, generated)
    first, second = on_two_processes(scores_of_shares, tmp_path, real, generated)
    assert first == second
    (uneven, uneven_errors), (idle, idle_errors) = first
    assert uneven == pytest.approx(values, rel=1e-6)
    assert uneven_errors[2:] == pytest.approx(errors[2:], rel=1e-6)
    # the jackknife's groups are others, the size of the error is not
    for error, expected in zip(uneven_errors[:2], errors[:2], strict=True):
        assert 0.4 < error / expected < 2.5
    assert idle == pytest.approx(values, rel=1e-6)
    assert idle_errors == pytest.approx(errors, rel=1e-6)
