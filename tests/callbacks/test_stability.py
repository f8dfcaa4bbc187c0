import warnings

import pytest
import torch
from lightning.pytorch import LightningModule

from lightning_gen.callbacks import Stability, stability
from lightning_gen.objectives import NonSaturating, Wasserstein


class Game(LightningModule):
    """It logs what it is told."""

    def __init__(self, objective=None, **logged):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.objective = objective or NonSaturating()
        self.told = logged

    def discriminator_terms(self, seen, training_step):
        raise NotImplementedError

    def training_step(self, batch, batch_idx):
        self.log_dict({f"train/{name}": value for name, value in self.told.items()})
        return 0 * self.weight

    def validation_step(self, batch, batch_idx):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(model, trainer, mini, monkeypatch):
    monkeypatch.setattr(stability, "FIRST_STEPS", 5)
    options = {"limit_train_batches": 15, "limit_val_batches": 0, "max_epochs": 2}
    trainer(Stability(), log_every_n_steps=1, **options).fit(model, mini)


@pytest.mark.parametrize(
    ("logged", "words"),
    [
        (
            {"discriminator_loss": 0.01, "discriminator_accuracy": 0.995},
            "discriminator wins.*99.5%",
        ),
        (
            {"discriminator_loss": 1.3, "discriminator_accuracy": 0.6, "penalty": 40.0},
            "gradient explodes: 40 beside a loss of 1.3",
        ),
    ],
)
def test_what_goes_wrong_is_said_once(logged, words, trainer, mini, monkeypatch):
    with pytest.warns(UserWarning, match=words) as found:
        fit(Game(**logged), trainer, mini, monkeypatch)
    assert len([each for each in found if "Try" in str(each.message)]) == 1


@pytest.mark.parametrize(
    "model",
    [
        Game(discriminator_loss=0.9, discriminator_accuracy=0.8, penalty=0.5),
        Game(discriminator_loss=0.9, discriminator_accuracy=0.99),
        Game(Wasserstein(), discriminator_loss=-30.0, discriminator_accuracy=1.0, penalty=50.0),
    ],
)
def test_a_game_that_goes_on_is_left_alone(model, trainer, mini, monkeypatch):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        fit(model, trainer, mini, monkeypatch)
    assert not [each for each in found if "Try" in str(each.message)]
