"""Scores by drawn images that share the value of a factor: FactorVAE's and beta-VAE's."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lightning_gen.metrics.disentanglement.table import CodesAndFactors, varying

CHUNK = 1000
"""How many batches are read at once."""


class Sharing(NamedTuple):
    """For each factor, the images in the order of their values, in runs of one value.

    ``order[k]`` lists the images. Image i stands at ``start[k, i] + place[k, i]``, in a run that
    begins at ``start[k, i]`` and has ``size[k, i]`` images.
    """

    order: Int[Tensor, "f n"]
    start: Int[Tensor, "f n"]
    place: Int[Tensor, "f n"]
    size: Int[Tensor, "f n"]


def sharing(factors: Int[Tensor, "n f"]) -> Sharing:
    """The runs of images with the same value, for every factor."""
    runs = [_of_one_factor(column) for column in factors.T]
    return Sharing(*map(torch.stack, zip(*runs, strict=True)))


def _of_one_factor(factor: Int[Tensor, " n"]) -> tuple[Int[Tensor, " n"], ...]:
    _, number, counts = torch.unique(factor, return_inverse=True, return_counts=True)
    order = number.argsort(stable=True)
    start = (counts.cumsum(dim=0) - counts)[number]
    place = order.argsort() - start
    return order, start, place, counts[number]


def draw_below(limits: Int[Tensor, "*n"], generator: torch.Generator) -> Int[Tensor, "*n"]:
    """A random whole number from 0 to below each limit."""
    uniform = torch.rand(limits.shape, generator=generator, dtype=torch.float64)
    return (uniform * limits).long().clamp(max=limits - 1)


def draw_subsets(
    limits: Int[Tensor, " n"], size: int, generator: torch.Generator
) -> Int[Tensor, "n size"]:
    """``size`` random whole numbers from 0 to below each limit.

    They are distinct (Floyd's algorithm, Bentley & Floyd 1987) where the limit allows it, and drawn
    with replacement where it is smaller than ``size``.
    """
    drawn = draw_below(limits[:, None].expand(-1, size), generator)
    scarce = limits < size
    subsets = torch.empty_like(drawn)
    for i in range(size):
        top = (limits - size + i).clamp(min=0)
        pick = draw_below(top + 1, generator)
        taken = (subsets[:, :i] == pick[:, None]).any(dim=1)
        subsets[:, i] = torch.where(taken, top, pick)
    return torch.where(scarce[:, None], drawn, subsets)


def draw_differences(
    codes: Float[Tensor, "n d"], factors: Int[Tensor, "n f"], num: int, pairs: int, seed: int
) -> tuple[Int[Tensor, " m"], Float[Tensor, "m d"]]:
    """``num`` times a random factor, and the mean difference of ``pairs`` images that share it.

    An image is paired with itself only where no other has the value.
    """
    generator = torch.Generator().manual_seed(seed)
    runs = sharing(factors)
    factor = torch.randint(factors.shape[1], (num,), generator=generator)
    image = torch.randint(len(codes), (num, pairs), generator=generator)
    at = (factor[:, None], image)
    further = 1 + draw_below((runs.size[at] - 1).clamp(min=1), generator)
    partner = runs.order[
        factor[:, None], runs.start[at] + (runs.place[at] + further) % runs.size[at]
    ]
    codes = codes.double()
    chunks = zip(torch.split(image, CHUNK), torch.split(partner, CHUNK), strict=True)
    return factor, torch.cat([(codes[a] - codes[b]).abs().mean(dim=1) for a, b in chunks])


class BetaVAEScore(CodesAndFactors):
    """The score of beta-VAE (Higgins et al. 2017, ICLR, section 3).

    From the absolute difference of the codes of two images, averaged over pairs that share one
    factor's value, a linear classifier tells the factor; the score is its accuracy on other pairs.
    Up to 1, without unit; higher is better. Guessing, as by a code that says nothing, gives
    1 / factors. The most lenient of the scores: a rotated code may reach 1 too.

    The classifier is scikit-learn's LogisticRegression, with its own settings, as in Locatello et
    al. 2019 (arXiv:1811.12359). Its penalty makes it deaf to dimensions of a small scale. Pairs are
    drawn from the images kept. Cost: (train + test) x pairs x 2 codes are read, seconds.

    Args:
        num_train: mean differences that train the classifier.
        num_test: mean differences that test it.
        pairs: pairs of images of each.
        seed: see CodesAndFactors.
    """

    def __init__(
        self, num_train: int = 10_000, num_test: int = 5_000, pairs: int = 64, seed: int = 0
    ) -> None:
        super().__init__(seed)
        self.num_train = num_train
        self.num_test = num_test
        self.pairs = pairs

    def score(self, codes: Float[Tensor, "n d"], factors: Int[Tensor, "n f"]) -> Float[Tensor, ""]:
        """Accuracy of a logistic regression from mean |z1 - z2| to the factor that pairs share.

        A single factor gives 1.
        """
        from sklearn.linear_model import LogisticRegression  # here: it takes half a second

        factors = factors[:, varying(factors)]
        if factors.shape[1] == 1:
            return torch.tensor(1.0, dtype=torch.float64)
        count = self.num_train + self.num_test
        drawn = draw_differences(codes, factors, count, self.pairs, self.seed)
        factor, difference = (part.numpy() for part in drawn)
        model = LogisticRegression(max_iter=10_000)
        model.fit(difference[: self.num_train], factor[: self.num_train])
        accuracy = model.score(difference[self.num_train :], factor[self.num_train :])
        return torch.tensor(accuracy, dtype=torch.float64)


INACTIVE = 0.05
"""Standard deviation below which a dimension is left out, that of Locatello et al. 2019."""


def draw_votes(
    codes: Float[Tensor, "n d"], factors: Int[Tensor, "n f"], num: int, batch_size: int, seed: int
) -> tuple[Int[Tensor, " m"], Int[Tensor, " m"]]:
    """Of ``num`` batches the factor that the images share, and the dimension that varies least.

    A batch has no image twice, unless fewer than ``batch_size`` images share the value.
    """
    generator = torch.Generator().manual_seed(seed)
    runs = sharing(factors)
    factor = torch.randint(factors.shape[1], (num,), generator=generator)
    image = torch.randint(len(codes), (num,), generator=generator)
    within = draw_subsets(runs.size[factor, image], batch_size, generator)
    batches = runs.order[factor[:, None], runs.start[factor, image][:, None] + within]
    quietest = [codes[batch].var(dim=1).argmin(dim=1) for batch in torch.split(batches, CHUNK)]
    return factor, torch.cat(quietest)


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
    """

    def __init__(
        self,
        train_votes: int = 10_000,
        test_votes: int = 5_000,
        batch_size: int = 64,
        seed: int = 0,
    ) -> None:
        super().__init__(seed)
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
