"""Small models."""

import inspect
from functools import partial

import torch
import torch.nn.functional as F
from lightning.pytorch import Trainer
from torch.optim import Adam
from torch.utils.data import DataLoader

from lightning_gen import models
from lightning_gen.contracts import Batch
from lightning_gen.models import VAE
from lightning_gen.networks import DCGANNetworks, Dense, LatentDiscriminator
from lightning_gen.priors import Autoregressive

KINDS = [getattr(models, name) for name in models.__all__]
"""All models."""

QUIET = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_model_summary": False,
    "enable_progress_bar": False,
}
"""A trainer that says nothing and leaves nothing."""


def trainer_of(*callbacks, **options):
    """A quiet trainer of one epoch that logs every step."""
    defaults = {"callbacks": [*callbacks], "max_epochs": 1, "log_every_n_steps": 1}
    return Trainer(**QUIET | defaults | options)


def tiny(model=VAE, **arguments):
    """A model of a few thousand parameters."""
    arguments = {"latent_dim": 4, "architecture": Dense((16,))} | arguments
    return model((1, 28, 28), **arguments)


def frozen(model=VAE, **arguments):
    """A model that training does not change."""
    return tiny(model, optimizer=partial(Adam, lr=0.0), **arguments)


SMALL = {
    "CGAN": {"architecture": DCGANNetworks((8, 16))},
    "DCGAN": {"architecture": DCGANNetworks((8, 16))},
    "FactorVAE": {"discriminator": LatentDiscriminator((32, 32))},
    "VQVAE": {"prior": Autoregressive(16, 1, 2)},
}


def build(kind, image_shape=(1, 28, 28), **arguments):
    """A model as the command line builds it, of small networks: what the data knows is linked."""
    accepted = inspect.signature(kind).parameters
    linked = {
        "image_shape": image_shape,
        "num_classes": 10,
        "class_names": tuple("abcdefghij"),
        "factors": {"size": 3, "hat": 2},
    }
    linked = {name: value for name, value in linked.items() if name in accepted}
    return kind(**linked | SMALL.get(getattr(kind, "__name__", ""), {}) | arguments)


def batch_of(images):
    """A batch as it reaches a model, with classes 0 to 9 in turn and two factors."""
    numbers = torch.arange(len(images))
    return Batch(images, numbers % 10, torch.stack([numbers % 3, numbers % 2], dim=1))


def loader_of(images, batch_size=8):
    """Batches as they reach a model: float32 in [0, 1]."""
    return DataLoader([batch_of(part) for part in images.split(batch_size)], batch_size=None)


def constant_image_floor(images):
    """Nats per image of the best constant: the mean of each pixel over the training images."""
    mean = images.mean(dim=0, keepdim=True).clamp(1e-6, 1 - 1e-6).expand_as(images)
    return F.binary_cross_entropy(mean, images, reduction="sum").item() / len(images)


def terms_of(model, images, training_step=None):
    """The terms of clean images."""
    return model.terms(batch_of(images), images, training_step)
