import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch_fidelity.metric_prc import prc_features_to_metric

from lightning_gen.errors import UserError
from lightning_gen.metrics.generation import DensityCoverage, PrecisionRecall, balls, manifold
from support.refusals import assert_refused
from support.scores import shown

METRICS = [PrecisionRecall, DensityCoverage]


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(balls, "BLOCK", 700)  # a few rows at once


def scored(metric, real, generated):
    return shown(metric, real, generated).compute()


def both(real, generated):
    """Precision, recall, density and coverage, without their standard errors, which take long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            manifold.NeighbourScores, "_variance_over_parts", lambda *_, **__: torch.zeros(2)
        )
        scores = [scored(make(), real, generated) for make in METRICS]
    return [estimate.value.item() for score in scores for estimate in score]


def by_torch_fidelity(real, generated, neighbours):
    arguments = {"prc_neighborhood": neighbours, "verbose": False}
    return prc_features_to_metric(generated.double(), real.double(), **arguments)


def density_and_coverage(real, generated, neighbours):
    real, generated = real.double().numpy(), generated.double().numpy()
    among = NearestNeighbors(n_neighbors=neighbours + 1).fit(real)
    radii = among.kneighbors(real)[0][:, -1]
    held, covered = [], np.zeros(len(real))
    for image in generated:
        inside = [np.linalg.norm(image - real[i]) <= radii[i] for i in range(len(real))]
        held.append(sum(inside) / neighbours)
        covered = np.maximum(covered, inside)
    return np.array(held), covered


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("neighbours", [1, 3])
def test_precision_and_recall_agree_with_torch_fidelity(neighbours):
    real, generated = torch.randn(300, 6), 0.5 + torch.randn(200, 6)
    reference = by_torch_fidelity(real, generated, neighbours)
    score = scored(PrecisionRecall(neighbours), real, generated)
    for share, images in (("precision", 200), ("recall", 300)):
        value, error = getattr(score, share)
        assert value.item() == pytest.approx(reference[share], abs=1e-6)
        assert 0.1 < value < 0.95
        assert error > (value * (1 - value) / images).sqrt()  # which the balls given would have


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("neighbours", [1, 5])
def test_density_and_coverage_agree_with_a_plain_loop(neighbours):
    real, generated = torch.randn(120, 4), 0.5 + torch.randn(90, 4)
    held, covered = density_and_coverage(real, generated, neighbours)
    density, coverage = scored(DensityCoverage(neighbours), real, generated)
    assert density.value.item() == pytest.approx(held.mean())
    assert coverage.value.item() == pytest.approx(covered.mean())
    assert density.standard_error.isnan()  # fewer than 100 images
    assert 0.1 < coverage.value < 0.95


@pytest.mark.parametrize("make", METRICS)
def test_parts_have_the_scores_that_they_have_alone(make):
    """Copies among them."""
    real, generated = torch.randn(160, 5).double(), 0.5 + torch.randn(140, 5).double()
    real[20:30], generated[:9] = real[30:40], real[31:40]
    metric = make()
    balls = metric.balls(real, generated)
    for _ in range(5):
        parts = torch.arange(160) % 3, torch.randint(3, (140,))
        for part, found in enumerate(metric.scores(balls, *parts)):
            alone = scored(make(), real[parts[0] == part], generated[parts[1] == part])
            assert found.tolist() == pytest.approx([estimate.value.item() for estimate in alone])


def test_a_set_against_itself_is_perfect_in_any_order():
    features = torch.randn(200, 100)
    precision, recall, density, coverage = both(features, features[torch.randperm(200)])
    assert (precision, recall, coverage) == (1, 1, 1)
    assert density == pytest.approx(6 / 5)  # each ball holds its centre and 5 neighbours


def test_a_large_common_offset_changes_nothing():
    # multiples of 2^-13, which float32 keeps at 1000
    real, generated = ((2**13 * torch.randn(300, 6)).round() / 2**13 for _ in range(2))
    assert both(1000 + real, 1000 + generated) == both(real, generated)


def test_near_copies_are_told_apart():
    # 300 near copies of one image, 1e-3 apart at a length of 30 from the mean
    real = 10 + 1e-3 * torch.randn(300, 8)
    generated = 10 + 1e-3 * torch.randn(300, 8)
    others = -10 + torch.randn(300, 8)
    near = both(torch.cat([real, others]), generated)
    reference = by_torch_fidelity(torch.cat([real, others]), generated, 3)
    assert near[:2] == pytest.approx([reference["precision"], reference["recall"]], abs=1e-6)
    assert 0.5 < near[0] < 1


@pytest.mark.usefixtures("small_blocks")
def test_exact_copies_lie_in_their_own_balls_of_radius_zero():
    copies, others = torch.randn(100).repeat(50, 1) / 3, 5 + torch.randn(51, 100)
    precision, recall, density, coverage = both(torch.cat([copies, others]), copies[:47])
    assert precision == 1
    assert recall == pytest.approx(50 / 101)
    assert density == 10  # 50 balls, 5 neighbours
    assert coverage == pytest.approx(50 / 101)


@pytest.mark.parametrize("make", METRICS)
def test_too_few_images_for_the_neighbours_are_refused(make):
    for sizes in ((3, 10), (10, 3), (0, 0)):
        with pytest.raises(UserError, match=f"got {sizes[0]} real and {sizes[1]} generated"):
            scored(make(neighbours=3), *(torch.randn(size, 2) for size in sizes))
    assert scored(make(neighbours=3), torch.randn(4, 2), torch.randn(4, 2))
    assert_refused("1 to 10, got 0", make, neighbours=0)
