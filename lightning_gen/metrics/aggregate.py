"""The aggregate posterior q(z), the mean of q(z|x) over the data, and how far it is from p(z)."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from lightning_gen.errors import UserError
from lightning_gen.metrics.estimate import Estimate
from lightning_gen.objectives.mmd import InverseMultiquadratics, Kernel, maximum_mean_discrepancy

Codes = Float[Tensor, "n d"]
BLOCK = 1000


class Posteriors(Metric):
    """Keeps the posteriors of all images, 8 N D bytes; the caller bounds N.

    Args:
        seed: of the noise of the posterior draws.
        kwargs: passed to torchmetrics.Metric.
    """

    is_differentiable: bool | None = False
    full_state_update: bool | None = False

    means: list[Tensor]
    log_vars: list[Tensor]

    def __init__(self, seed: int = 0, **kwargs: Any) -> None:  # noqa: ANN401  (torchmetrics')
        super().__init__(**kwargs)
        self.seed = seed
        self.add_state("means", [], dist_reduce_fx="cat")
        self.add_state("log_vars", [], dist_reduce_fx="cat")

    def update(self, mean: Codes, log_var: Codes) -> None:
        """Add the posteriors of a batch of images."""
        self.means.append(mean.float())
        self.log_vars.append(log_var.float())

    def _posteriors(self) -> tuple[Codes, Codes, Codes]:
        """Means, log-variances and one draw of each."""
        mean, log_var = dim_zero_cat(self.means), dim_zero_cat(self.log_vars)
        return mean, log_var, mean + torch.exp(0.5 * log_var) * noise(mean, self.seed, 0)


def noise(like: Codes, seed: int, stream: int) -> Codes:
    """Standard normal numbers that depend on ``seed`` and ``stream`` alone.

    Small seeds are what data and models are made with; numbers that follow theirs are no noise.
    """
    generator = torch.Generator().manual_seed(982_451_653 + 2 * seed + stream)
    return torch.randn(like.shape, generator=generator).to(like)


class MutualInformation(Posteriors):
    """I(x; z) under q(z|x), in nats: E log q(z|x) - log q(z) (Hoffman & Johnson 2016).

    q(z) is the mixture of the posteriors of the N images seen, and each image gives one draw. From
    0, where the code ignores the image, to log N, which is 9.2 for 10,000 images: a larger value
    cannot be seen (a lower bound in expectation, van den Oord et al. 2018). Neither more nor less
    is better; the mean KL minus it is KL(q(z) || p(z)). Costs N^2 D.
    """

    higher_is_better: bool | None = None

    def compute(self) -> Estimate:
        """The mean over draws and its standard error.

        Raises:
            UserError: fewer than two images were seen.
        """
        return mutual_information(*self._posteriors())


def mutual_information(mean: Codes, log_var: Codes, codes: Codes) -> Estimate:
    """E log q(z|x) - log q(z) over ``codes``, one draw of each posterior."""
    n = len(codes)
    if n < 2:
        raise UserError(f"mutual information needs two or more images, got {n}. Evaluate on more.")
    rows = []
    for start in range(0, n, BLOCK):
        part = slice(start, start + BLOCK)
        own = log_density(codes[part], mean[part], log_var[part])
        mixture = log_densities(codes[part], mean, log_var).logsumexp(dim=1) - math.log(n)
        rows.append(own - mixture)
    terms = torch.cat(rows).double()
    return Estimate(terms.mean(), terms.std() / math.sqrt(n))


def log_density(codes: Codes, mean: Codes, log_var: Codes) -> Float[Tensor, " n"]:
    """Log N(z_i; mean_i, var_i) without the constant D/2 log 2 pi."""
    squared = (codes - mean).square() * torch.exp(-log_var)
    return -0.5 * (squared + log_var).sum(dim=1)


def log_densities(
    codes: Codes, mean: Float[Tensor, "m d"], log_var: Float[Tensor, "m d"]
) -> Float[Tensor, "n m"]:
    """Log N(z_i; mean_j, var_j) of every code under every posterior, without the constant.

    One dimension at a time, so that [N, M, D] never stands in memory and nothing cancels.
    """
    total = torch.zeros(len(codes), len(mean), dtype=torch.float64, device=codes.device)
    for j in range(codes.shape[1]):
        deviation = (codes[:, j, None] - mean[:, j]) * torch.exp(-0.5 * log_var[:, j])
        total -= 0.5 * (deviation.square() + log_var[:, j])
    return total


class PriorMMD(Posteriors):
    """Squared maximum mean discrepancy between q(z) and p(z) = N(0, I).

    The unbiased estimate on blocks of 1,000 draws of each, averaged; the standard error is that of
    the blocks' mean. About 0 where the aggregate posterior is the prior (a value below zero is no
    fault), lower is better; no unit, and comparable for one kernel only.

    Args:
        kernel: by default the inverse multiquadratics of Tolstikhin et al. 2018.
        seed: of the posterior's and the prior's draws.
        kwargs: passed to torchmetrics.Metric.
    """

    higher_is_better: bool | None = False

    def __init__(
        self,
        kernel: Kernel = InverseMultiquadratics(),  # noqa: B008  (frozen)
        seed: int = 0,
        **kwargs: Any,  # noqa: ANN401  (torchmetrics')
    ) -> None:
        super().__init__(seed, **kwargs)
        self.kernel = kernel

    def compute(self) -> Estimate:
        """The mean over blocks and its standard error, nan for a single block."""
        *_, codes = self._posteriors()
        codes = codes.double()  # a small difference of means of about 1
        prior = noise(codes, self.seed, 1)
        # A rest makes the blocks larger, not one block small.
        count = max(1, len(codes) // BLOCK)
        blocks = zip(codes.tensor_split(count), prior.tensor_split(count), strict=True)
        values = torch.stack([maximum_mean_discrepancy(*pair, self.kernel) for pair in blocks])
        error = values.std() / math.sqrt(count) if count > 1 else torch.tensor(math.nan)
        return Estimate(values.mean(), error)
