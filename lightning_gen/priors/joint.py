"""The prior of codes with discrete parts."""

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from lightning_gen.contracts import Codes, PerImage
from lightning_gen.errors import UserError
from lightning_gen.priors.prior import VectorPrior


@dataclass(eq=False)
class NormalAndCategories(VectorPrior):
    """p(z, c) = N(z; 0, I) times uniform one-hot vectors, which are the end of a code.

    Args:
        categories: the number of values of each discrete variable.
    """

    categories: tuple[int, ...] = (10,)

    def fit(self, codes: Codes, per_image: int = 1) -> Self:
        """A UserError: it has nothing to fit."""
        raise UserError(
            f"{type(self).__name__} is the prior of JointVAE as it is. Fit for instance "
            "GaussianMixture."
        )

    def sample(self, n: int, temperature: float = 1.0) -> Codes:
        """``n`` draws; the temperature is that of the Gaussian part."""
        parts = [temperature * torch.randn(n, self._normal, device=self.origin.device)]
        for count in self.categories:
            values = torch.eye(count, device=self.origin.device)
            parts.append(values[torch.randint(count, (n,), device=self.origin.device)])
        return torch.cat(parts, dim=1)

    def log_prob(self, codes: Codes) -> PerImage:
        """Log p(z, c), a density of z."""
        normal: Tensor = codes[:, : self._normal].float().square() + math.log(2 * math.pi)
        return -0.5 * normal.sum(dim=1) - sum(map(math.log, self.categories))

    @property
    def _normal(self) -> int:
        return self.latent_dim - sum(self.categories)
