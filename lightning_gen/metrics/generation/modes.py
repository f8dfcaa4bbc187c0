"""How many of the data's modes generated images have, and how evenly."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from lightning_gen.errors import UserError
from lightning_gen.metrics.estimate import Estimate, Measure
from lightning_gen.objectives.vq import perplexity


class Modes(NamedTuple):
    """The number of modes found, and KL(p || uniform) in nats."""

    found: Estimate
    kl: Estimate


class ModeCounts(Measure):
    """The modes that N generated images have, and KL(p || uniform), p being their shares of modes.

    Metz et al. 2017 (arXiv:1611.02163, "reverse KL") and Srivastava et al. 2017 (arXiv:1705.07761),
    on 26 images a mode. A mode is found where one image has it: 1 to M, higher is better. The
    divergence is sum_k p_k log(p_k M), in nats: 0 where all modes are equally frequent, log M where
    one is all there is; lower is better. Modes that are drawn evenly give about (M - 1) / 2N, 0.019
    for the papers' numbers, so that values of one N compare. No standard error is given: by this
    bias an interval would miss the true value.

    Args:
        modes: M.
    """

    total: Int[Tensor, " modes"]

    def __init__(self, modes: int) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(modes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, modes: Int[Tensor, " n"]) -> None:
        """Add the mode of each image of a batch, from 0 to M - 1."""
        self.total += modes.bincount(minlength=len(self.total))

    def compute(self) -> Modes:
        """Both, in float64; a UserError where there was no image."""
        if self.total.sum() == 0:
            raise UserError(f"{type(self).__name__} has seen no image. Update it first.")
        counts = self.total.to("cpu", torch.float64)
        unknown = counts.new_tensor(math.nan)
        kl = math.log(len(counts)) - perplexity(counts[None])[0].log()
        return Modes(Estimate((counts > 0).sum().double(), unknown), Estimate(kl, unknown))
