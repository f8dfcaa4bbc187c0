import math
from types import SimpleNamespace

import pytest
import torch

from lightning_gen.callbacks import ModeCoverage, mode_coverage
from lightning_gen.data import MNIST, MiniFashionMNIST, Shapes, StackedMNIST
from lightning_gen.data.loader import TensorSource
from lightning_gen.models import VAE
from support.models import build
from support.refusals import assert_refused

STEP = 25
"""Grey levels between digits, each of which is one level, for a judge that makes no mistake."""


@pytest.fixture
def grey_digits(monkeypatch):
    labels = torch.arange(100) % 10
    images = (STEP * labels).byte()[:, None, None, None].expand(-1, 1, 28, 28).clone()
    source = TensorSource.of(images, labels)
    monkeypatch.setattr(MNIST, "load", lambda *_: source)
    monkeypatch.setattr(MNIST, "prepare_data", lambda _: None)
    judge = SimpleNamespace(name="perfect", sha256="none")
    judge.to = lambda _: judge
    judge.classes = lambda images: (images.mean(dim=(1, 2, 3)) * 255 / STEP).round().long()
    monkeypatch.setattr(mode_coverage, "MNISTClassifier", lambda: judge)


class Writes(VAE):
    """Its samples write the first ``kept`` numbers, one after the other, in the layout of data."""

    kept, next = 1, 0

    def sample(self, n):
        numbers = torch.arange(self.next, self.next + n) % self.kept
        self.next += n
        channels, _, width = self.image_shape
        digits = channels * width // 28
        figures = numbers[:, None] // 10 ** torch.arange(digits).flip(0) % 10
        tiles = figures.view(n, channels, 1, -1).repeat_interleave(28, 3).expand(-1, -1, 28, -1)
        return STEP * tiles / 255


@pytest.mark.parametrize(
    ("data", "kept", "of"),
    [
        (StackedMNIST, 1, 1000),
        (StackedMNIST, 500, 1000),
        (StackedMNIST, 1000, 1000),
        (lambda: StackedMNIST(digits=2), 50, 100),
        (MNIST, 5, 10),
    ],
)
def test_modes_that_are_lost(data, kept, of, grey_digits, trainer):
    data = data()
    model = build(Writes, data.image_shape, latent_dim=2)
    model.kept = kept
    callback = ModeCoverage(num_samples=2000, num_images=20)
    trainer(callback, limit_test_batches=1, logger=False).test(model, data, verbose=False)
    modes, kl = callback.cards["modes"], callback.cards["modes_kl"]
    assert (modes.value, modes.unit) == (kept, "none")
    assert (kl.value, kl.unit) == (pytest.approx(math.log(of / kept), abs=1e-9), "nats")
    assert modes.details["of"] == of
    assert modes.details["judge_accuracy"] == 1
    assert [callback.quantities[name].better for name in callback.cards] == ["higher", "lower"]


def test_real_images_have_all_modes(shared_data, trainer):
    data = StackedMNIST(digits=2, root=str(shared_data), download=False, batch_size=500)
    model = build(VAE, data.image_shape, latent_dim=2)
    batches = iter(data.in_order("val", 500))
    model.sample = lambda n: next(batches).images[:n] / 255
    callback = ModeCoverage(num_samples=2000, num_images=500)
    trainer(callback, limit_test_batches=1, logger=False).test(model, data, verbose=False)
    assert callback.cards["modes"].value == 100
    assert callback.cards["modes"].details["judge_accuracy"] > 0.97
    # 0.003 of uneven digits, and the bias of so few images
    expected, deviation = 0.003 + 99 / 4000, math.sqrt(2 * 99) / 4000
    assert callback.cards["modes_kl"].value == pytest.approx(expected, abs=4 * deviation)


@pytest.mark.parametrize("data", [MiniFashionMNIST, Shapes])
def test_other_data_are_refused_before_training(data, trainer):
    match = f"classes are the numbers that they write, got {data.__name__}. Take --data"
    model = build(VAE, data.info.image_shape)
    assert_refused(match, trainer(ModeCoverage()).fit, model, data())
    assert model.global_step == 0
