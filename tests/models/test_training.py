"""A few epochs on real images teach a model what no constant image could."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Trainer
from torch.optim import Adam

from lightning_gen.data import MiniFashionMNIST
from lightning_gen.models import AE, CAE, VAE
from lightning_gen.networks import Dense


def constant_image_floor(images):
    """Nats per image of the best constant: the mean of each pixel over the training images."""
    mean = images.mean(dim=0, keepdim=True).clamp(1e-6, 1 - 1e-6).expand_as(images)
    return F.binary_cross_entropy(mean, images, reduction="sum").item() / len(images)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "epochs", "limit"),
    [
        # A dense VAE reaches about 240 nats when it is trained for long (experiment E).
        (partial(VAE, latent_dim=10, architecture=Dense((150, 100))), 4, 300),
        (partial(AE, latent_dim=10, architecture=Dense((150, 100))), 4, 290),
        (partial(CAE, widths=(8, 16)), 1, 270),
    ],
)
def test_training_beats_the_constant_image(build, epochs, limit):
    torch.manual_seed(0)
    data = MiniFashionMNIST(batch_size=100)
    model = build(data.image_shape, optimizer=partial(Adam, lr=3e-3))
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, data)
    floor = constant_image_floor(data.load_train().images / 255)
    assert limit < floor - 50
    assert trainer.callback_metrics["val/loss"] < limit
    [tested] = trainer.test(model, data, verbose=False)
    assert tested["test/loss"] < limit
