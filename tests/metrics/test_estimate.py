import pytest
import torch

from lightning_gen.metrics import MeanOverImages


def updated(values, batch_size=32):
    metric = MeanOverImages()
    for part in values.split(batch_size):
        metric.update(part)
    return metric


def test_mean_and_standard_error_agree_with_numpy():
    values = 1000 + torch.randn(100)
    value, error = updated(values).compute()
    assert value.item() == pytest.approx(values.double().mean().item())
    assert error.item() == pytest.approx(values.double().numpy().std(ddof=1) / 10)


def test_equal_numbers_have_no_spread():
    assert updated(torch.full((10,), 0.1)).compute().standard_error == pytest.approx(0, abs=1e-8)


def test_one_image_has_no_standard_error():
    value, error = updated(torch.tensor([3.0])).compute()
    assert value == 3
    assert error.isnan()
