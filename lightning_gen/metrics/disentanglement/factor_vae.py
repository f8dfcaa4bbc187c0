"""The majority vote of FactorVAE."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lightning_gen.metrics.disentanglement.sharing import draw_subsets, sharing
from lightning_gen.metrics.disentanglement.table import CodesAndFactors, varying

INACTIVE = 0.05
"""Standard deviation below which a dimension is left out, that of Locatello et al. 2019."""

CHUNK = 1000
"""How many batches are read at once."""


class Votes(NamedTuple):
    """Which factor a batch of images shares, and which dimension varies least over the batch."""

    factor: Int[Tensor, " m"]
    dimension: Int[Tensor, " m"]


def draw_votes(
    codes: Float[Tensor, "n d"], factors: Int[Tensor, "n f"], num: int, batch_size: int, seed: int
) -> Votes:
    """``num`` batches: a random factor, a random image, and images that share its value.

    A batch has no image twice, unless fewer than ``batch_size`` images share the value.
    """
    generator = torch.Generator().manual_seed(seed)
    runs = sharing(factors)
    factor = torch.randint(factors.shape[1], (num,), generator=generator)
    image = torch.randint(len(codes), (num,), generator=generator)
    within = draw_subsets(runs.size[factor, image], batch_size, generator)
    batches = runs.order[factor[:, None], runs.start[factor, image][:, None] + within]
    quietest = [codes[batch].var(dim=1).argmin(dim=1) for batch in torch.split(batches, CHUNK)]
    return Votes(factor, torch.cat(quietest))


class FactorVAEScore(CodesAndFactors):
    """The score of FactorVAE (Kim & Mnih 2018, arXiv:1802.05983, section 4).

    Batches of images share one factor's value; a majority vote tells the factor from the dimension
    that varies least over the batch, and the score is its accuracy on other batches. Up to 1,
    without unit; higher is better. Guessing, as by a code that says nothing, gives 1 / factors; a
    code whose dimensions all have a standard deviation below 0.05, as which they are left out,
    gives 0.

    Batches are drawn from the images kept, so that values of few images vote with less noise than
    there should be, or with more. Cost: (train + test) x batch_size codes are read, seconds.

    Args:
        train_votes: batches that train the majority vote.
        test_votes: batches that test it.
        batch_size: images of each.
        seed: see CodesAndFactors.
        kwargs: passed to torchmetrics.Metric.
    """

    def __init__(
        self,
        train_votes: int = 10_000,
        test_votes: int = 5_000,
        batch_size: int = 64,
        seed: int = 0,
        **kwargs: Any,  # noqa: ANN401  (torchmetrics')
    ) -> None:
        super().__init__(seed, **kwargs)
        self.train_votes = train_votes
        self.test_votes = test_votes
        self.batch_size = batch_size

    def score(self, codes: Float[Tensor, "n d"], factors: Int[Tensor, "n f"]) -> Float[Tensor, ""]:
        """Accuracy of the majority vote from the dimension that varies least to the shared factor.

        The variance over a batch is divided by that over all images.
        """
        factors = factors[:, varying(factors)]
        deviation = codes.double().std(dim=0)
        active = deviation >= INACTIVE
        if not active.any():
            return torch.tensor(0.0, dtype=torch.float64)
        scaled = codes[:, active].double() / deviation[active]
        count = self.train_votes + self.test_votes
        factor, dimension = draw_votes(scaled, factors, count, self.batch_size, self.seed)
        f, d = factors.shape[1], scaled.shape[1]
        table = (factor * d + dimension)[: self.train_votes].bincount(minlength=f * d).view(f, d)
        voted = table.argmax(dim=0)[dimension[self.train_votes :]]
        return (voted == factor[self.train_votes :]).double().mean()
