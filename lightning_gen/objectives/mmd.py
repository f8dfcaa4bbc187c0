"""Maximum mean discrepancy: how far apart two distributions are, from samples of each."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lightning_gen.errors import UserError

CodeRows = Float[Tensor, "n d"]
Gram = Float[Tensor, "n m"]


@dataclass(frozen=True)
class Kernel(ABC):
    """A sum of kernels, one a scale, each a function of u = ||x - y||^2 / (2 d scale).

    2 d is the mean squared distance of two draws from N(0, I) in d dimensions.

    Args:
        scales: of the squared distance; several of them see both coarse and fine differences.
    """

    scales: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.scales or not all(0 < scale < float("inf") for scale in self.scales):
            raise UserError(
                f"{type(self).__name__}.scales lists one or more finite numbers above 0, "
                f"got {list(self.scales)}. Pass for instance [0.5, 1, 2]."
            )

    @abstractmethod
    def profile(self, u: Gram) -> Gram:
        """The kernel of one scale: 1 at u = 0, falling to 0."""

    def __call__(self, x: CodeRows, y: Float[Tensor, "m d"]) -> Gram:
        """k(x_i, y_j), from 0 to the number of scales; in float32 or finer also under autocast."""
        fine = torch.promote_types(x.dtype, torch.float32)
        with torch.autocast(x.device.type, enabled=False):
            x, y = x.to(fine), y.to(fine)
            squares = x.square().sum(dim=1, keepdim=True) + y.square().sum(dim=1)
            # ||x - y||^2 through a matrix product: [N, M] in memory, not [N, M, D]
            u = (squares - 2 * x @ y.T).clamp(min=0) / (2 * x.shape[1])
            return torch.stack([self.profile(u / scale) for scale in self.scales]).sum(dim=0)


@dataclass(frozen=True)
class InverseMultiquadratics(Kernel):
    """sum_s C_s / (C_s + ||x - y||^2), C_s = 2 d s (Tolstikhin et al. 2018, section 4).

    The scales are those of the authors' code; the heavy tails pull codes in from far away.
    """

    scales: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

    def profile(self, u: Gram) -> Gram:
        """1 / (1 + u)."""
        return 1 / (1 + u)


@dataclass(frozen=True)
class RBF(Kernel):
    """sum_s exp(-||x - y||^2 / (2 d s)): Gaussians of variance d s, as for InfoVAE.

    The gradient vanishes far from the prior, so that it suits codes that a KL keeps near. The code
    of Zhao, Song & Ermon 2019 has exp(-||x - y||^2 / d^2), the one scale s = d / 2.
    """

    scales: tuple[float, ...] = (1.0,)

    def profile(self, u: Gram) -> Gram:
        """exp(-u)."""
        return torch.exp(-u)


def maximum_mean_discrepancy(
    x: CodeRows, y: Float[Tensor, "m d"], kernel: Kernel
) -> Float[Tensor, ""]:
    """E k(x, x') + E k(y, y') - 2 E k(x, y), the squared MMD of two distributions.

    The unbiased estimate of Gretton et al. 2012 (equation 3): no sample is paired with itself, and
    where the distributions are equal a value is below zero as often as above. It has no unit; it is
    at most twice the number of the kernel's scales. With fewer than two samples of either there is
    no pair: the value is 0, without a gradient.
    """
    if min(len(x), len(y)) < 2:
        return 0 * (x.float().sum() + y.float().sum())
    within_x, within_y = (
        (gram.sum() - gram.diagonal().sum()) / (len(gram) * (len(gram) - 1))
        for gram in (kernel(x, x), kernel(y, y))
    )
    return within_x + within_y - 2 * kernel(x, y).mean()
