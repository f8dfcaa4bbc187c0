"""The table of codes and ground-truth factors that every score of disentanglement reads."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from lightning_gen.errors import UserError
from lightning_gen.metrics.estimate import Estimate, KeptNumbers, jackknife_variance

FEWEST_IMAGES = 100


class CodesAndFactors(KeptNumbers):
    """Keeps the code and the factors of every image; the caller bounds their number.

    The table is sorted and then shuffled with a seed before it is scored, so that neither the order
    in which images arrive nor their share among processes changes a score.

    A standard error is that of a delete-a-group jackknife, of the scores that are smooth in the
    images. Those of trained predictors, drawn batches and limits of chance are not: the interval of
    no estimate that was tried covers what it should, so they have none (nan). Runs of several seeds
    differ by more than images do.

    Attributes:
        groups: how many groups of images the jackknife leaves out in turn; 0 for none.

    Args:
        seed: of all that is random, apart from the global random state.
    """

    higher_is_better: bool | None = True

    groups: ClassVar[int] = 0
    names = ("codes", "factors")

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.seed = seed

    def update(self, codes: Float[Tensor, "n d"], factors: Shaped[Tensor, "n f"]) -> None:
        """Add a batch of images: their codes, and the class number of each factor."""
        numbers = factors.long()
        if factors.is_floating_point() and not torch.equal(numbers.to(factors), factors):
            raise UserError(
                "Factors must be class numbers, got fractions: "
                "pass the number of each factor's value, not the value."
            )
        self.keep(codes.float(), numbers)

    @abstractmethod
    def score(
        self, codes: Float[Tensor, "n d"], factors: Int[Tensor, "n f"]
    ) -> Float[Tensor, "*k"]:
        """The score of a table whose images stand in random order."""

    def compute(self) -> Estimate:
        """The score of all images and its standard error, on the CPU."""
        codes, factors = (part.cpu() for part in self.kept())
        count = len(codes)
        if count < FEWEST_IMAGES:
            raise UserError(
                f"{type(self).__name__} needs at least {FEWEST_IMAGES} images, got {count}: "
                "give it more images."
            )
        if not codes.isfinite().all():
            raise UserError(
                f"{type(self).__name__} needs finite codes, got nan or infinity: "
                "take a checkpoint from before the training diverged."
            )
        order = torch.from_numpy(np.lexsort([*codes.T.numpy(), *factors.T.numpy()]))
        shuffle = torch.Generator().manual_seed(self.seed)
        order = order[torch.randperm(count, generator=shuffle)]
        codes, factors = codes[order], factors[order]
        group = torch.arange(count) % max(self.groups, 1)
        value = self.score(codes, factors)
        try:
            kept = [group != i for i in range(self.groups)]
            without = [self.score(codes[which], factors[which]) for which in kept]
        except UserError:  # one group has all images of some value
            without = []
        error = jackknife_variance(torch.stack(without)).sqrt() if without else value * torch.nan
        return Estimate(value, error)


def varying(factors: Int[Tensor, "n f"]) -> list[int]:
    """The columns of the factors that have more than one value."""
    found = (factors != factors[:1]).any(dim=0).nonzero().flatten().tolist()
    if not found:
        raise UserError(
            "Disentanglement needs a factor with two values, "
            f"got {factors.shape[1]} factors without: give it other images."
        )
    return list(found)
