"""The categorical posterior q(c|x) of a code with discrete parts."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lightning_gen.noise import uniform_like

OneHot = Float[Tensor, "n k"]
"""For each image one vector of 0 and 1 a variable, one after another; or its relaxation."""


class Categorical(NamedTuple):
    """Independent categorical variables: log q(c|x) of every value, [N, K_i] of each variable."""

    log_probs: Sequence[Float[Tensor, "n _"]]

    @classmethod
    def from_logits(cls, logits: OneHot, sizes: Sequence[int]) -> "Categorical":
        """Of an encoder's output, the K_i numbers of each variable one after another."""
        parts = torch.split(logits.float(), [*sizes], dim=1)
        return cls([part.log_softmax(dim=1) for part in parts])

    def relaxed(self, temperature: float) -> OneHot:
        """A draw of the Gumbel-softmax, which has a gradient (Jang et al. 2017, arXiv:1611.01144).

        It comes closer to a one-hot vector the lower the temperature is.
        """
        noisy = [(part + _gumbel(part)) / temperature for part in self.log_probs]
        return torch.cat([part.softmax(dim=1) for part in noisy], dim=1)

    def sample(self) -> OneHot:
        """A draw of each variable."""
        return _hot([part + _gumbel(part) for part in self.log_probs])

    def mode(self) -> OneHot:
        """The most probable value of each variable."""
        return _hot(self.log_probs)

    def kl_to_uniform(self) -> Float[Tensor, "n v"]:
        """KL(q(c|x) || uniform) of each variable, in nats; at most log K."""
        kl = [(part.exp() * part).sum(dim=1) + math.log(part.shape[1]) for part in self.log_probs]
        return torch.stack(kl, dim=1)

    def log_prob(self, codes: OneHot) -> Float[Tensor, " n"]:
        """Log q(c|x) of one value of each variable for each image."""
        return (torch.cat([*self.log_probs], dim=1) * codes).sum(dim=1)

    def repeated(self, times: int) -> "Categorical":
        """The posteriors of all images, ``times`` over."""
        return Categorical([part.repeat(times, 1) for part in self.log_probs])


def _gumbel(like: Tensor) -> Tensor:
    """Noise by which the largest of log-probabilities is a draw: -log(-log u)."""
    tiny = torch.finfo(like.dtype).tiny
    exponential = -uniform_like(like).clamp(min=tiny).log()
    return -exponential.clamp(min=tiny).log()


def _hot(scores: Sequence[Float[Tensor, "n _"]]) -> OneHot:
    found = [F.one_hot(part.argmax(dim=1), part.shape[1]).to(part) for part in scores]
    return torch.cat(found, dim=1)
