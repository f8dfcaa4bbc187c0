"""How much of its codebooks a model with discrete codes uses."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchmetrics import Metric

Counts = Int[Tensor, "codebooks size"]


class CodeCounts(Metric):
    """How often each code of each codebook is chosen, over batches and processes.

    Args:
        codebooks: number of codebooks.
        size: codes in each codebook.
        kwargs: passed to torchmetrics.Metric.
    """

    is_differentiable: bool | None = False
    higher_is_better: bool | None = None
    full_state_update: bool | None = False

    total: Counts

    def __init__(
        self,
        codebooks: int,
        size: int,
        **kwargs: Any,  # noqa: ANN401  (torchmetrics')
    ) -> None:
        super().__init__(**kwargs)
        zeros = torch.zeros(codebooks, size, dtype=torch.int64)
        self.add_state("total", zeros, dist_reduce_fx="sum")

    def update(self, indices: Int[Tensor, "n positions codebooks"]) -> None:
        """Add the codes of a batch of images."""
        chosen = indices.flatten(0, 1).T
        self.total.scatter_add_(1, chosen, torch.ones_like(chosen))

    def compute(self) -> Counts:
        """The number of uses of each code."""
        return self.total


def code_perplexity(counts: Counts) -> Float[Tensor, " codebooks"]:
    """The effective number of codes of each codebook: exp of the entropy of their frequencies.

    From 1, where one code is all that is used, to ``size``, where all are used equally often (van
    den Oord et al. 2017, arXiv:1711.00937).
    """
    share = counts.double() / counts.sum(dim=1, keepdim=True)
    return (-share.xlogy(share).sum(dim=1)).exp().float()


def code_use(counts: Counts) -> Float[Tensor, " codebooks"]:
    """The share of each codebook that was used at all, from 1 / ``size`` to 1."""
    return (counts > 0).float().mean(dim=1)
