import numpy as np
import pytest
import torch

from lightning_gen.callbacks import CodebookUse
from lightning_gen.figures import codebook_bars, to_array
from lightning_gen.models import VQVAE
from lightning_gen.networks import Codebook, SpatialResidual, Transformer


class Bright(VQVAE):
    """A VQ-VAE whose first codebook tells bright from dark images; the second has one code."""

    def quantize(self, images):
        bright = (images.mean(dim=(1, 2, 3)) > 0.3).long()
        return torch.stack([bright, torch.zeros_like(bright)], dim=1)[:, None].expand(-1, 49, 2)


@pytest.fixture
def model():
    return Bright((1, 28, 28), SpatialResidual((4, 4), 0), Codebook(8, 4, 2), Transformer(8, 1, 2))


def expected(images):
    bright = images.mean(dim=(1, 2, 3)) > 0.3
    n = len(images)
    counts = torch.zeros(2, 8, dtype=torch.int64)
    counts[0, :2] = 49 * torch.stack([(~bright).sum(), bright.sum()])
    counts[1, 0] = 49 * n
    share = bright.double().mean().item()
    assert 0.1 < share < 0.9
    return counts, np.exp(-share * np.log(share) - (1 - share) * np.log(1 - share))


def test_the_whole_split_is_measured_and_drawn(trainer, mini, first, model, pictures):
    run = trainer(CodebookUse(every_n_epochs=2), max_epochs=2, limit_val_batches=3)
    run.fit(model, mini)
    counts, perplexity = expected(first(60)[0])
    logged = run.callback_metrics
    assert logged["val/perplexity"].item() == pytest.approx((perplexity + 1) / 2, rel=1e-5)
    assert logged["val/code_use"].item() == pytest.approx((2 / 8 + 1 / 8) / 2)
    [(step, picture)] = pictures("codebook_use").items()
    assert step == 4
    bars = codebook_bars(counts, torch.tensor([perplexity, 1.0], dtype=torch.float32))
    np.testing.assert_array_equal(picture, to_array(bars))


def test_the_test_split_is_measured(trainer, mini, first, model):
    run = trainer(CodebookUse(), limit_test_batches=2)
    [logged] = run.test(model, mini, verbose=False)
    _, perplexity = expected(first(40, "test")[0])
    assert logged["test/perplexity"] == pytest.approx((perplexity + 1) / 2, rel=1e-5)
    assert "test/code_use" in logged
