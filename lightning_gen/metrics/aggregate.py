"""The aggregate posterior q(z), the mean of q(z|x) over the data, and how far it is from p(z)."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from lightning_gen.contracts import Codes
from lightning_gen.errors import UserError
from lightning_gen.metrics.estimate import Estimate, KeptNumbers
from lightning_gen.objectives.mmd import InverseMultiquadratics, Kernel, maximum_mean_discrepancy

BLOCK = 1000

CLEAR = 0.1
"""Nats between the bounds on the mutual information, up to which it counts as known."""

MMD_BLOCKS = 20
"""Of the MMD, and more for more than 20,000 images: 1.96 of its errors cover 93 or 94 %."""


class Posteriors(KeptNumbers):
    """Keeps the posteriors of all images, 8 N D bytes; ``seed`` is of the posterior draws."""

    names = ("means", "log_vars")

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.seed = seed

    def update(self, mean: Codes, log_var: Codes) -> None:
        """Add the posteriors of a batch of images."""
        self.keep(mean.float(), log_var.float())

    def _posteriors(self) -> tuple[Codes, Codes, Codes]:
        """Means, log-variances and one draw of each."""
        mean, log_var = self.kept()
        return mean, log_var, mean + torch.exp(0.5 * log_var) * noise(mean, self.seed, 0)


def noise(like: Codes, seed: int, stream: int) -> Codes:
    """Standard normal numbers that depend on ``seed`` and ``stream`` alone.

    Small seeds are what data and models are made with; numbers that follow theirs are no noise.
    """
    generator = torch.Generator().manual_seed(982_451_653 + 2 * seed + stream)
    return torch.randn(like.shape, generator=generator).to(like)


class Information(NamedTuple):
    """What N images show of I(x; z) and of KL(q(z) || p(z)), in nats.

    Attributes:
        mutual_information: I(x; z), or a lower bound on it.
        at_most: an upper bound on I(x; z), in expectation.
        posterior_kl: the mean KL(q(z|x) || p(z)), which is the sum of I(x; z) and the next.
        marginal_kl: KL(q(z) || p(z)), or an upper bound on it.
        capped: whether the bounds are more than ``CLEAR`` apart, so that N images are too few to
            tell the value. No standard error is given of a bound.
    """

    mutual_information: Estimate
    at_most: Float[Tensor, ""]
    posterior_kl: Estimate
    marginal_kl: Estimate
    capped: bool


class MutualInformation(Posteriors):
    """I(x; z) under q(z|x), in nats: E log q(z|x) - log q(z) (Hoffman & Johnson 2016).

    q(z) is the mixture of the posteriors of the N images seen, and each image gives one draw. The
    mixture of all N gives a lower bound in expectation, which cannot exceed log N, 9.2 for 10,000
    images (van den Oord et al. 2018); that without the draw's own image gives an upper bound (Poole
    et al. 2019, arXiv:1905.06922, section 2.2). The value is the lower one. Neither more nor less
    is better. Costs N^2 D.
    """

    def compute(self) -> Information:
        """The means over images, two or more, and their standard errors."""
        return mutual_information(*self._posteriors())


def mutual_information(mean: Codes, log_var: Codes, codes: Codes) -> Information:
    """The information in ``codes``, one draw of each posterior."""
    n = len(codes)
    if n < 2:
        raise UserError(f"mutual information needs two or more images, got {n}. Evaluate on more.")
    own, others = [], []
    for start in range(0, n, BLOCK):
        part = slice(start, start + BLOCK)
        densities = log_densities(codes[part], mean, log_var)
        itself = torch.arange(len(densities), device=codes.device)
        own.append(densities[itself, itself + start])
        densities[itself, itself + start] = -math.inf
        others.append(densities.logsumexp(dim=1))
    of_own, of_others = torch.cat(own), torch.cat(others)
    terms = of_own - torch.logaddexp(of_own, of_others) + math.log(n)
    mean, log_var = mean.double(), log_var.double()
    kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(dim=1)
    at_most = (of_own - of_others).mean() + math.log(n - 1)
    capped = bool(at_most - terms.mean() > CLEAR)
    information, marginal = mean_of(terms), mean_of(kl - terms)
    if capped:
        unknown = torch.full_like(at_most, torch.nan)
        information, marginal = (Estimate(each.value, unknown) for each in (information, marginal))
    return Information(information, at_most, mean_of(kl), marginal, capped)


def mean_of(values: Float[Tensor, " n"]) -> Estimate:
    """The mean of independent numbers, and its standard error."""
    return Estimate(values.mean(), values.std() / math.sqrt(len(values)))


def log_densities(
    codes: Codes, mean: Float[Tensor, "m d"], log_var: Float[Tensor, "m d"]
) -> Float[Tensor, "n m"]:
    """Log N(z_i; mean_j, var_j) of every code under every posterior, without the constant.

    One dimension at a time, so that [N, M, D] never stands in memory and nothing cancels.
    """
    total = torch.zeros(len(codes), len(mean), dtype=torch.float64, device=codes.device)
    for j in range(codes.shape[1]):
        deviation = (codes[:, j, None] - mean[:, j]).mul_(torch.exp(-0.5 * log_var[:, j]))
        total.addcmul_(deviation, deviation, value=-0.5)
    return total.sub_(0.5 * log_var.double().sum(dim=1))


class PriorMMD(Posteriors):
    """Squared maximum mean discrepancy between q(z) and p(z) = N(0, I).

    The unbiased estimate on 20 blocks of draws of each, averaged (Zaremba et al. 2013); the
    standard error is that of the blocks' mean. About 0 where the aggregate posterior is the prior
    (a value below zero is no fault), lower is better; no unit, and comparable for one kernel only.
    By default it is the inverse multiquadratics of Tolstikhin et al. 2018.
    """

    higher_is_better: bool | None = False

    def __init__(
        self,
        kernel: Kernel = InverseMultiquadratics(),  # noqa: B008  (frozen)
        seed: int = 0,
    ) -> None:
        super().__init__(seed)
        self.kernel = kernel

    def compute(self) -> Estimate:
        """The mean over blocks and its standard error, nan for fewer than 40 images."""
        *_, codes = self._posteriors()
        codes = codes.double()  # a small difference of means of about 1
        prior = noise(codes, self.seed, 1)
        # A rest makes the blocks larger, not one block small.
        count = max(MMD_BLOCKS, len(codes) // BLOCK) if len(codes) >= 2 * MMD_BLOCKS else 1
        blocks = zip(codes.tensor_split(count), prior.tensor_split(count), strict=True)
        values = torch.stack([maximum_mean_discrepancy(*pair, self.kernel) for pair in blocks])
        return mean_of(values) if count > 1 else Estimate(values[0], values.new_tensor(math.nan))
