"""How much of a code is used: a Gaussian posterior's dimensions, and codebooks."""

from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lightning_gen.contracts import Codes
from lightning_gen.metrics.estimate import Measure, SumsOverImages

Counts = Int[Tensor, "codebooks size"]


class KLPerDimension(SumsOverImages):
    """Mean over images of KL(q(z_j|x) || N(0, 1)) in each latent dimension j, in nats.

    0.5 (mean^2 + var - 1 - log var), Kingma & Welling 2014, appendix B. At least 0; 0 where the
    posterior is the prior, so that the dimension carries nothing. Its sum over dimensions is
    ``val/kl``; neither more nor less is better in itself. Made with the number of dimensions D.
    """

    def update(self, mean: Codes, log_var: Codes) -> None:  # type: ignore[override]
        """Add the posteriors of a batch of images."""
        mean, log_var = mean.double(), log_var.double()
        super().update(0.5 * (mean.square() + log_var.exp() - 1 - log_var))

    def compute(self) -> Float[Tensor, " d"]:
        """The mean KL of each dimension over all images, in nats, in float64."""
        return self.total / self.count


class ActiveUnits(SumsOverImages):
    """Number of latent dimensions whose posterior mean varies over the data (Burda et al. 2016).

    A dimension j is active where Var_x(E[z_j|x]) > 0.01 (arXiv:1509.00519, section 5.2). From 0, a
    collapsed posterior, to D; more means that more of the code is used. Made with the number of
    dimensions D; ``update`` takes the posterior means [N, D] of a batch of images.
    """

    higher_is_better: bool | None = True
    threshold: ClassVar[float] = 0.01
    """Variance of the posterior mean, in units of the prior's variance."""

    def compute(self) -> Int[Tensor, ""]:
        """How many dimensions are active."""
        return self._active().sum()

    def dimensions(self) -> Bool[Tensor, " d"]:
        """Which dimensions are active; like ``compute``, to be called on all ranks at once."""
        with self.sync_context():
            return self._active()

    def _active(self) -> Bool[Tensor, " d"]:
        mean = self.total / self.count
        return self.total_of_squares / self.count - mean.square() > self.threshold


class CodeCounts(Measure):
    """How often each code of each codebook, of ``size`` codes, is chosen, over all processes."""

    total: Counts

    def __init__(self, codebooks: int, size: int) -> None:
        super().__init__()
        zeros = torch.zeros(codebooks, size, dtype=torch.int64)
        self.add_state("total", zeros, dist_reduce_fx="sum")

    def update(self, indices: Int[Tensor, "n positions codebooks"]) -> None:
        """Add the codes of a batch of images."""
        chosen = indices.flatten(0, 1).T
        self.total.scatter_add_(1, chosen, torch.ones_like(chosen))

    def compute(self) -> Counts:
        """The number of uses of each code."""
        return self.total
