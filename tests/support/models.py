"""Small models."""

from functools import partial

from torch.optim import Adam

from lightning_gen.models import VAE
from lightning_gen.networks import Dense


def tiny(model=VAE, **arguments):
    """A model of a few thousand parameters."""
    arguments = {"latent_dim": 4, "architecture": Dense((16,))} | arguments
    return model((1, 28, 28), **arguments)


def frozen(model=VAE, **arguments):
    """A model that training does not change."""
    return tiny(model, optimizer=partial(Adam, lr=0.0), **arguments)
