"""Vector quantisation: the nearest entry of a codebook that follows the encoder's output."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, distributed, nn

from lightning_gen.errors import UserError
from lightning_gen.networks.architecture import check_ranges

LatentMap = Float[Tensor, "n d h w"]
IndexMap = Int[Tensor, "n h w codebooks"]
UseCounts = Int[Tensor, "codebooks size"]
CodeVectors = Float[Tensor, "codebooks m g"]

SMOOTHING = 1e-5
"""Added to each code's moving count, so that a code without use is not divided by zero."""

RANGES = {
    "size": (2, math.inf),
    "dim": (1, math.inf),
    "count": (1, math.inf),
    "decay": (0, 1),
    "restart_below": (0, 1),
    "commitment": (0, math.inf),
}


class Statistics(NamedTuple):
    """What a batch, of all processes together, says about each code."""

    uses: Float[Tensor, "codebooks size"]
    sums: Float[Tensor, "codebooks size g"]
    candidates: Float[Tensor, "codebooks size g"]
    """A random vector of the batch for each code, in case it starts anew."""


@dataclass(frozen=True)
class Codebook:
    """A recipe for the codebooks of a quantised latent.

    Args:
        size: codes in each codebook.
        dim: channels of the encoder's feature map, shared out evenly among the codebooks.
        count: codebooks; each quantises its own group of channels, so that a position has
            ``size ** count`` values.
        decay: of the moving averages that the codes are, per training step.
        restart_below: a code that is used less than this share of the mean use starts anew from one
            of the encoder's present outputs; at 0 that happens before the first step only.
        commitment: weight of the encoder's distance from its codes in the loss; 0.25 in the paper.
    """

    size: int = 512
    dim: int = 64
    count: int = 1
    decay: float = 0.99
    restart_below: float = 0.1
    commitment: float = 0.25

    def __post_init__(self) -> None:
        check_ranges(self, RANGES)
        if self.dim % self.count:
            raise UserError(
                f"Codebook.dim is shared out evenly among Codebook.count codebooks, got "
                f"{self.dim} channels for {self.count}. Set dim to a multiple of {self.count}."
            )

    def quantizer(self) -> "Quantizer":
        """The module, with small random codes."""
        return Quantizer(self.size, self.dim, self.count, self.decay, self.restart_below)


class Quantizer(nn.Module):
    """Codebooks that are moving averages of the encoder's outputs (appendix A.1 of the paper).

    van den Oord et al. 2017, arXiv:1711.00937. Each code is the mean of the vectors that chose it,
    over about 1 / (1 - decay) steps; no gradient reaches it. Codes out of use start anew from the
    batch (Dhariwal et al. 2020, arXiv:2005.00341, section 3.1). With several processes the averages
    are taken over the batches of all, so that the codebooks stay the same everywhere. Everything is
    computed in float32, under autocast too. The arguments are those of :class:`Codebook`.
    """

    codes: Float[Tensor, "codebooks size g"]
    counts: Float[Tensor, "codebooks size"]
    sums: Float[Tensor, "codebooks size g"]

    def __init__(self, size: int, dim: int, count: int, decay: float, restart_below: float) -> None:
        super().__init__()
        self.size = size
        self.decay = decay
        self.restart_below = restart_below
        shape = (count, size, dim // count)
        self.register_buffer("codes", torch.empty(shape).uniform_(-1 / size, 1 / size))
        self.register_buffer("counts", torch.zeros(shape[:2]))
        self.register_buffer("sums", torch.zeros(shape))

    def nearest(self, features: LatentMap) -> IndexMap:
        """The index of the nearest code in each codebook at each position (squared distance)."""
        n, _, h, w = features.shape
        with torch.autocast(features.device.type, enabled=False), torch.no_grad():
            # |v|^2 is the same for all codes.
            products = self._vectors(features) @ self.codes.mT
            distances = self.codes.square().sum(dim=2)[:, None] - 2 * products
        return distances.argmin(dim=2).T.reshape(n, h, w, -1)

    def lookup(self, indices: IndexMap) -> LatentMap:
        """The codes at their positions."""
        books = torch.arange(len(self.codes), device=indices.device)
        return self.codes[books, indices].flatten(3).movedim(3, 1)

    def use(self, indices: IndexMap) -> UseCounts:
        """How often each code of each codebook was chosen."""
        places = self._places(indices)
        counts = places.new_zeros(self.counts.numel())
        return counts.index_add_(0, places, torch.ones_like(places)).view_as(self.counts)

    @torch.no_grad()
    def update(self, features: LatentMap, indices: IndexMap) -> None:
        """One step of the moving averages, towards the vectors that chose each code.

        On several processes all call this at once.
        """
        with torch.autocast(features.device.type, enabled=False):
            uses, sums, candidates = self._statistics(self._vectors(features), indices)
            self.counts.lerp_(uses, 1 - self.decay)
            self.sums.lerp_(sums, 1 - self.decay)
            self._restart(candidates)
            total = self.counts.sum(dim=1, keepdim=True)
            share = (self.counts + SMOOTHING) / (total + self.size * SMOOTHING)
            self.codes.copy_(self.sums / (share * total)[..., None])

    def _vectors(self, features: LatentMap) -> CodeVectors:
        """The vectors of all positions, for each codebook its group of channels."""
        by_position = features.float().movedim(1, 3).flatten(0, 2)
        return by_position.view(by_position.shape[0], len(self.codes), -1).transpose(0, 1)

    def _places(self, indices: IndexMap) -> Int[Tensor, " m"]:
        """The place of each chosen code in all codebooks, one after the other."""
        starts = self.size * torch.arange(len(self.codes), device=indices.device)
        return (indices + starts).flatten()

    def _statistics(self, vectors: CodeVectors, indices: IndexMap) -> Statistics:
        by_position = vectors.transpose(0, 1).flatten(0, 1)
        sums = torch.zeros_like(self.sums).flatten(0, 1)
        sums = sums.index_add_(0, self._places(indices), by_position).view_as(self.sums)
        drawn = torch.randint(vectors.shape[1], self.codes.shape[:2], device=vectors.device)
        candidates = vectors.gather(1, drawn[..., None].expand_as(self.codes))
        uses = self.use(indices).to(sums)
        return over_processes(Statistics(uses, sums, candidates))

    def _restart(self, candidates: Float[Tensor, "codebooks size g"]) -> None:
        mean = self.counts.mean(dim=1, keepdim=True)
        dead = self.counts <= self.restart_below * mean
        self.counts.copy_(torch.where(dead, mean, self.counts))
        self.sums.copy_(torch.where(dead[..., None], mean[..., None] * candidates, self.sums))


def over_processes(statistics: Statistics) -> Statistics:
    """The uses and sums of all processes; their candidates for one code after the other in turn."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return statistics
    uses, sums, candidates = statistics
    turn = torch.arange(uses.shape[1], device=uses.device) % distributed.get_world_size()
    ours = candidates * (turn == distributed.get_rank())[:, None]
    together = torch.cat([uses[..., None], sums, ours], dim=2)
    distributed.all_reduce(together)
    uses, sums, candidates = together.tensor_split([1, 1 + sums.shape[2]], dim=2)
    return Statistics(uses.squeeze(2), sums, candidates)
