"""The linear classifier of beta-VAE."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lightning_gen.metrics.disentanglement.sharing import draw_below, mean_over_chunks, sharing
from lightning_gen.metrics.disentanglement.table import CodesAndFactors, varying


class Differences(NamedTuple):
    """Which factor pairs of images share, and their mean absolute difference."""

    factor: Int[Tensor, " m"]
    difference: Float[Tensor, "m d"]


def draw_differences(
    codes: Float[Tensor, "n d"], factors: Int[Tensor, "n f"], num: int, pairs: int, seed: int
) -> Differences:
    """``num`` times a random factor, ``pairs`` images, and for each another of the same value.

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
    return Differences(factor, mean_over_chunks(codes.double(), image, partner))


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
        kwargs: passed to torchmetrics.Metric.
    """

    def __init__(
        self,
        num_train: int = 10_000,
        num_test: int = 5_000,
        pairs: int = 64,
        seed: int = 0,
        **kwargs: Any,  # noqa: ANN401  (torchmetrics')
    ) -> None:
        super().__init__(seed, **kwargs)
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
