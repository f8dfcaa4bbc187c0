"""How probable a model finds images it has not seen."""

import math

from jaxtyping import Float
from torch import Tensor

from lightning_gen.metrics.estimate import MeanOverImages


class NegativeLogLikelihood(MeanOverImages):
    """-log p(x), in nats per image, or an upper bound on it; lower is better.

    Fed with the importance-weighted bound L_k of each image (Burda et al. 2016, arXiv:1509.00519,
    section 5), -L_k is at least -log p(x) in expectation and falls towards it with k: the number of
    draws belongs to the value. At least 0 where p is a probability; the standard error is over
    images.
    """

    higher_is_better: bool | None = False

    def update(self, log_likelihood: Float[Tensor, " n"]) -> None:
        """Add log p(x) or its bound for a batch of images, in nats."""
        super().update(-log_likelihood)


class BitsPerDimension(MeanOverImages):
    """-log2 p(x) / D of 8-bit images, D = channels x height x width; lower is better.

    p must be a probability of 8-bit images: that of a discrete likelihood, or the bound of uniform
    dequantisation on it (Theis et al. 2016, arXiv:1511.01844, section 3.1). 8 is what uniform noise
    costs. ``dimensions`` is D.
    """

    higher_is_better: bool | None = False

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.dimensions = dimensions

    def update(self, log_likelihood: Float[Tensor, " n"]) -> None:
        """Add log P(x) or its bound for a batch of images, in nats."""
        super().update(-log_likelihood / (self.dimensions * math.log(2)))


def dequantised(images: Float[Tensor, "n c h w"], noise: Float[Tensor, "n c h w"]) -> Tensor:
    """8-bit images in [0, 1] spread over their bins: (255 x + u) / 256, in [0, 1).

    With u uniform in [0, 1), log P(x) >= E log p(dequantised x) - D log 256.
    """
    return (255 * images + noise) / 256


def log_bin_volume(dimensions: int) -> float:
    """Log of the volume of one bin of 8-bit images in [0, 1)^D: -D log 256."""
    return -dimensions * math.log(256)
