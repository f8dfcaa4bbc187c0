"""A discriminator of codes: drawn from the prior, or encoded from an image."""

from dataclasses import dataclass

from torch import nn

from lightning_gen.networks.architecture import check_widths
from lightning_gen.networks.dense import hidden_layers


@dataclass(frozen=True)
class LatentDiscriminator:
    """A recipe for a fully connected discriminator of codes.

    The defaults are the four layers of Tolstikhin et al. 2018.

    Args:
        widths: units of each hidden layer.
        activation: class of the activation after each hidden layer.
    """

    widths: tuple[int, ...] = (512, 512, 512, 512)
    activation: type[nn.Module] = nn.ReLU

    def __post_init__(self) -> None:
        check_widths(self, self.widths)

    def network(self, latent_dim: int) -> nn.Module:
        """A module from codes [N, latent_dim] to logits [N], high for draws of the prior."""
        hidden = hidden_layers((latent_dim, *self.widths), self.activation)
        return nn.Sequential(*hidden, nn.Linear(self.widths[-1], 1), nn.Flatten(0))
