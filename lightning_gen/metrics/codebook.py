"""How much of its codebooks a model with discrete codes uses."""

from typing import Any

import torch
from jaxtyping import Int
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
