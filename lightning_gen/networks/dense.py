"""Fully connected encoder and decoder."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from lightning_gen.contracts import ImageShape
from lightning_gen.networks.architecture import Architecture, check_widths, layer_end
from lightning_gen.networks.mean_start import MeanStart


@dataclass(frozen=True)
class Dense(Architecture):
    """Layers on the flattened image; the decoder has the same widths in reverse, or its own.

    Args:
        widths: units of each hidden layer of the encoder; without any it is one linear layer.
        activation: class of the activation after each hidden layer.
        normalization: class of a layer before each activation, built from the width
            (``torch.nn.BatchNorm1d``, ``torch.nn.LayerNorm``).
        he_initialization: draw the weights before each activation with variance 2 / fan_in, their
            biases 0 (He et al. 2015, arXiv:1502.01852), which keeps the scale of the images
            through the layers; torch's own draw has a sixth of that variance.
        decoder_widths: units of each hidden layer of the decoder, from the code to the image; None
            takes those of the encoder in reverse.
        start_at_mean: let the bias of the last layer be the mean of 512 training images, in the
            parameters of the likelihood, before training begins.
    """

    widths: tuple[int, ...] = (150, 100)
    activation: type[nn.Module] = nn.ReLU
    normalization: type[nn.Module] | None = None
    he_initialization: bool = False
    decoder_widths: tuple[int, ...] | None = None
    start_at_mean: bool = False

    def __post_init__(self) -> None:
        check_widths(self, self.widths, fewest=0)
        if self.decoder_widths is not None:
            check_widths(self, self.decoder_widths, fewest=0, argument="decoder_widths")

    def encoder(self, image_shape: ImageShape, out_features: int) -> nn.Module:
        """Flatten, hidden layers, one linear layer."""
        widths = (math.prod(image_shape), *self.widths)
        return nn.Sequential(
            nn.Flatten(), *self._hidden(widths), nn.Linear(widths[-1], out_features)
        )

    def decoder(
        self, image_shape: ImageShape, in_features: int, params_per_channel: int
    ) -> nn.Module:
        """Hidden layers, one linear layer, unflatten."""
        channels, height, width = image_shape
        out_shape = (channels * params_per_channel, height, width)
        hidden = self.widths[::-1] if self.decoder_widths is None else self.decoder_widths
        widths = (in_features, *hidden)
        last = MeanStart if self.start_at_mean else nn.Linear
        return nn.Sequential(
            *self._hidden(widths),
            last(widths[-1], math.prod(out_shape)),
            nn.Unflatten(1, out_shape),
        )

    def _hidden(self, widths: Sequence[int]) -> list[nn.Module]:
        layers = list(hidden_layers(widths, self.activation, self.normalization))
        for module in layers:
            if self.he_initialization and isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)
        return layers


def hidden_layers(
    widths: Sequence[int], activation: type[nn.Module], normalization: type[nn.Module] | None = None
) -> Iterator[nn.Module]:
    """Linear layer, normalization and activation from each width to the next."""
    for before, after in pairwise(widths):
        yield nn.Linear(before, after)
        yield from layer_end(activation, normalization, after)


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
