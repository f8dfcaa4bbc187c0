"""Samples, of all kinds and of each class, and how diverse they are."""

import warnings

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule

from lightning_gen.callbacks import ConditionalSamples, SampleDiversity, Samples, samples
from lightning_gen.figures.grid import image_grid, image_rows
from lightning_gen.models import CVAE
from support.command import column
from support.models import frozen


@pytest.mark.parametrize("seed", [0, 7])
def test_each_picture_is_drawn_from_the_same_noise(seed, trainer, mini, pictures):
    model = frozen()
    trainer(Samples(num_images=5, seed=seed), max_epochs=2).fit(model, mini)
    found = pictures("samples")
    for step in (2, 4):
        torch.manual_seed(seed)
        images = model.eval().sample(5)
        np.testing.assert_array_equal(found[step], image_grid(images, f"Samples at step {step}"))


@pytest.mark.parametrize("max_rows", [3, 20])
def test_one_row_a_class_and_one_noise_a_column(max_rows, trainer, mini, pictures):
    model = frozen(CVAE, class_names=mini.info.class_names)
    trainer(ConditionalSamples(num_images=4, max_rows=max_rows, seed=5)).fit(model, mini)
    torch.manual_seed(5)
    noise = torch.randn(4, 4)
    rows = {
        name: model.decode(torch.cat([noise, torch.eye(10)[[label] * 4]], dim=1))
        for label, name in list(enumerate(mini.info.class_names))[:max_rows]
    }
    expected = image_rows(rows, "Samples of each condition at step 2")
    np.testing.assert_array_equal(pictures("conditional_samples")[2], expected)


class Made(LightningModule):
    """Its samples are around one image, as far as it is told; training does nothing."""

    def __init__(self, spread):
        super().__init__()
        self.spread = torch.nn.Parameter(torch.tensor(spread))
        self.seen = []
        self.first = {}

    def sample(self, n):
        self.seen.append((self.training, torch.is_grad_enabled()))
        return 0.5 + self.spread * torch.randn(n, 1, 28, 28)

    def training_step(self, batch, batch_idx):
        self.first.setdefault("training", batch.images)
        return 0 * self.spread

    def validation_step(self, batch, batch_idx):
        self.first.setdefault("validation", batch.images)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.parametrize("limit_val_batches", [2, 0])
def test_diversity_is_relative_to_real_images(limit_val_batches, trainer, mini, tmp_path):
    model = Made(0.1)
    arguments = {"limit_val_batches": limit_val_batches, "max_epochs": 2}
    trainer(SampleDiversity(num_images=30, seed=5), **arguments).fit(model, mini)
    torch.manual_seed(5)
    samples = (0.5 + 0.1 * torch.randn(30, 1, 28, 28)).flatten(1).double()
    split = "validation" if limit_val_batches else "training"
    real = model.first[split].flatten(1).double()

    def distance(rows):
        return torch.cdist(rows, rows).sum() / (len(rows) * (len(rows) - 1))

    expected = (distance(samples) / distance(real)).item()
    logged = column(tmp_path / "run", "samples/diversity")
    assert [*logged.values()] == pytest.approx([expected, expected], rel=1e-4)
    assert model.seen == [(False, False)] * 2


def test_a_collapse_is_told_once(trainer, mini, monkeypatch):
    monkeypatch.setattr(samples, "FIRST_STEPS", 3)
    with pytest.warns(UserWarning, match=r"differ from each other 0\.\d\d times as much") as found:
        trainer(SampleDiversity(), max_epochs=4).fit(Made(1e-3), mini)
    assert len([w for w in found if "collapsed" in str(w.message)]) == 1


@pytest.mark.parametrize(("spread", "first_steps"), [(1e-3, 5), (0.2, 1)])
def test_a_healthy_or_young_model_is_not_warned_of(spread, first_steps, trainer, mini, monkeypatch):
    monkeypatch.setattr(samples, "FIRST_STEPS", first_steps)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*LeafSpec|.*many workers|The `srun` command")
        trainer(SampleDiversity(), max_epochs=2).fit(Made(spread), mini)
