import pytest
import torch
from sklearn.metrics import roc_auc_score

from lightning_gen.errors import UserError
from lightning_gen.metrics import AUROC


def measured(scores, anomalous):
    metric = AUROC()
    for part in zip(scores.split(7), anomalous.split(7), strict=True):
        metric.update(*part)
    return metric.compute()


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_the_area_is_scikit_learns_at_any_scale(scale):
    anomalous = torch.rand(300) < 0.3
    scores = scale * (torch.randn(300) + anomalous + 100)  # nats of an image, say
    expected = roc_auc_score(anomalous.numpy(), scores.double().numpy())
    assert measured(scores, anomalous).value.item() == pytest.approx(expected, abs=1e-12)


def test_ties_count_half():
    anomalous = torch.rand(200) < 0.5
    scores = torch.randint(4, (200,)).float() + anomalous
    expected = roc_auc_score(anomalous.numpy(), scores.numpy())
    assert measured(scores, anomalous).value.item() == pytest.approx(expected)
    assert measured(torch.zeros(200), anomalous).value == 0.5


def test_a_perfect_score_is_one_without_error():
    anomalous = torch.arange(10) >= 5
    assert tuple(measured(torch.arange(10.0), anomalous)) == (1, 0)


@pytest.mark.parametrize("anomalies", [0, 1, 9, 10])
def test_one_kind_of_image_is_refused(anomalies):
    with pytest.raises(UserError, match="normal and anomalous"):
        measured(torch.rand(10), torch.arange(10) < anomalies)
