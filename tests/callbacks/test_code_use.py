import numpy as np
import pytest
import torch

from lightning_gen.callbacks import CodebookUse, CollapseMonitor
from lightning_gen.figures.code_charts import codebook_bars, kl_bars
from lightning_gen.figures.style import to_array
from lightning_gen.models import VAE, VQVAE
from lightning_gen.networks import Codebook, SpatialResidual
from lightning_gen.objectives import DiagonalGaussian
from lightning_gen.priors import Autoregressive
from support.models import frozen, tiny


class Collapsed(VAE):
    """A VAE whose posterior is the prior, whatever the image."""

    def posterior(self, images):
        q = super().posterior(images)
        return DiagonalGaussian(0 * q.mean, 0 * q.log_var)


class Spread(VAE):
    """A VAE whose first two posterior means vary with the image."""

    seen = 0

    def posterior(self, images):
        if not self.trainer.training:
            self.seen += len(images)
        brightness = images.mean(dim=(1, 2, 3))
        mean = torch.stack([9 * brightness, brightness - 5, 0 * brightness, 0 * brightness], dim=1)
        return DiagonalGaussian(mean, torch.full_like(mean, -1.0))


def test_a_collapsed_posterior_is_told_once_in_words(trainer, mini):
    run = trainer(CollapseMonitor(), max_epochs=4, limit_train_batches=50)
    with pytest.warns(UserWarning, match="collapsed") as seen:
        run.fit(tiny(Collapsed), mini)
    [message] = [str(w.message) for w in seen if "collapsed" in str(w.message)]
    assert "0 of 4 latent dimensions are active and the KL is 0 nats per image" in message
    assert "the decoder ignores the code" in message
    for advice in ("objective.warmup_steps", "objective.free_bits", "smaller beta"):
        assert advice in message
    assert run.callback_metrics["val/active_units"] == 0


@pytest.mark.parametrize(
    "arguments", [{"fast_dev_run": True}, {"limit_train_batches": 99}, {"limit_val_batches": 0}]
)
@pytest.mark.filterwarnings("error:.*collapsed")
def test_the_first_steps_are_not_told(arguments, trainer, mini):
    trainer(CollapseMonitor(), **arguments).fit(tiny(Collapsed), mini)


@pytest.mark.filterwarnings("error:.*collapsed")
def test_a_healthy_posterior_is_measured_without_a_warning(trainer, mini, first, pictures):
    callback = CollapseMonitor(num_images=40, every_n_epochs=2)
    run = trainer(callback, max_epochs=2, limit_train_batches=60)
    run.fit(frozen(Spread), mini)
    logged = run.callback_metrics
    kl = torch.stack([logged[f"kl_per_dimension/{j:02d}"] for j in range(4)])
    brightness = first(40).images.mean(dim=(1, 2, 3))
    active = torch.stack([9 * brightness, brightness - 5]).var(dim=1, correction=0) > 0.01
    assert active.all()
    assert logged["val/active_units"] == 2
    torch.testing.assert_close(kl.sum(), logged["val/kl"])
    [(step, picture)] = pictures("collapse_monitor").items()
    assert step == 120
    mask = torch.tensor([True, True, False, False])
    bars = kl_bars(kl, mask, "variance of the posterior mean over 0.01")
    np.testing.assert_array_equal(picture, to_array(bars))


@pytest.mark.parametrize(("num_images", "extra"), [(2, 2), (30, 30), (10_000, 60)])
def test_the_cost_is_bounded(num_images, extra, trainer, mini):
    model = frozen(Spread)
    trainer(CollapseMonitor(num_images), limit_val_batches=3, num_sanity_val_steps=2).fit(
        model, mini
    )
    assert model.seen == 40 + 60 + extra, "sanity check, validation, monitor"


class Bright(VQVAE):
    """A VQ-VAE whose first codebook tells bright from dark images; the second has one code."""

    def quantize(self, images):
        bright = (images.mean(dim=(1, 2, 3)) > 0.3).long()
        return torch.stack([bright, torch.zeros_like(bright)], dim=1)[:, None].expand(-1, 49, 2)


def expected(images):
    bright = images.mean(dim=(1, 2, 3)) > 0.3
    n = len(images)
    counts = torch.zeros(2, 8, dtype=torch.int64)
    counts[0, :2] = 49 * torch.stack([(~bright).sum(), bright.sum()])
    counts[1, 0] = 49 * n
    share = bright.double().mean().item()
    assert 0.1 < share < 0.9
    return counts, np.exp(-share * np.log(share) - (1 - share) * np.log(1 - share))


def test_whole_splits_are_measured_and_the_validation_is_drawn(trainer, mini, first, pictures):
    networks = SpatialResidual((4, 4), 0), Codebook(8, 4, 2), Autoregressive(8, 1, 2)
    model = Bright((1, 28, 28), *networks)
    limits = {"max_epochs": 2, "limit_val_batches": 3, "limit_test_batches": 2}
    run = trainer(CodebookUse(every_n_epochs=2), **limits)
    run.fit(model, mini)
    counts, perplexity = expected(first(60).images)
    logged = run.callback_metrics
    assert logged["val/perplexity"].item() == pytest.approx((perplexity + 1) / 2, rel=1e-5)
    assert logged["val/code_use"].item() == pytest.approx((2 / 8 + 1 / 8) / 2)
    [(step, picture)] = pictures("codebook_use").items()
    assert step == 4
    bars = codebook_bars(counts, torch.tensor([perplexity, 1.0], dtype=torch.float32))
    np.testing.assert_array_equal(picture, to_array(bars))
    [tested] = run.test(model, mini, verbose=False)
    _, perplexity = expected(first(40, "test").images)
    assert tested["test/perplexity"] == pytest.approx((perplexity + 1) / 2, rel=1e-5)
    assert "test/code_use" in tested
