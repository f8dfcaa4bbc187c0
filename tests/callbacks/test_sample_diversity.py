import warnings

import pytest
import torch
from lightning.pytorch import LightningModule

from lightning_gen.callbacks import SampleDiversity, sample_diversity
from support.command import column


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
    monkeypatch.setattr(sample_diversity, "FIRST_STEPS", 3)
    with pytest.warns(UserWarning, match=r"differ from each other 0\.\d\d times as much") as found:
        trainer(SampleDiversity(), max_epochs=4).fit(Made(1e-3), mini)
    assert len([w for w in found if "collapsed" in str(w.message)]) == 1


@pytest.mark.parametrize(("spread", "first_steps"), [(1e-3, 5), (0.2, 1)])
def test_a_healthy_or_young_model_is_not_warned_of(spread, first_steps, trainer, mini, monkeypatch):
    monkeypatch.setattr(sample_diversity, "FIRST_STEPS", first_steps)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*LeafSpec|.*many workers|The `srun` command")
        trainer(SampleDiversity(), max_epochs=2).fit(Made(spread), mini)
