"""A learned distribution of discrete codes: a causal transformer over their sequence."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lightning_gen.contracts import PerImage
from lightning_gen.errors import UserError, check_number, check_whole
from lightning_gen.priors.prior import Prior, fit_by_gradient

Sequences = Int[Tensor, "n positions codebooks"]
Hidden = Float[Tensor, "n t width"]
KeysAndValues = tuple[Float[Tensor, "n heads _ d"], Float[Tensor, "n heads _ d"]]

MANY = 2**21
"""Numbers in the hidden vectors of the images that are computed at once, about 1 GB in training."""


@dataclass(eq=False)
class Autoregressive(Prior):
    """p(codes) = prod_t p(code_t | earlier codes), by a causal transformer.

    The codes are entries of codebooks (van den Oord et al. 2017, arXiv:1711.00937, section 3.3;
    Vaswani et al. 2017, arXiv:1706.03762). Those of a position stand in the order of their
    codebooks, the positions row by row; the sequence begins with a start token. Each codebook has
    its own embedding and output layer, which starts at zero: untrained, all codes are equally
    probable.

    Args:
        width: length of the hidden vectors.
        depth: blocks.
        heads: attention heads in a block; they share the width out evenly.
        dropout: probability of each output of a block's two halves to be dropped in training.
        epochs: of a fit to the codes of a finished model.
    """

    width: int = 128
    depth: int = 3
    heads: int = 4
    dropout: float = 0.1
    epochs: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("width", "depth", "heads", "epochs"):
            check_whole(f"Autoregressive.{name}", getattr(self, name), 1)
        check_number("Autoregressive.dropout", self.dropout, 0)
        if self.dropout >= 1:
            raise UserError(f"Autoregressive.dropout is below 1, got {self.dropout}. Set 0.1.")
        if self.width % self.heads:
            raise UserError(
                f"Autoregressive.width is shared out evenly among its heads, got width "
                f"{self.width} for {self.heads} heads. Set width to a multiple of {self.heads}."
            )

    def of(self, model: Any) -> Self:  # noqa: ANN401
        """A copy for a model whose images have ``code_shape`` (positions, codebooks) codes."""
        copy = deepcopy(self)
        positions, codebooks = model.code_shape
        copy.build(positions, codebooks, model.codebook_size)
        return copy

    def build(self, positions: int, codebooks: int, size: int) -> None:
        """Make the parameters for so many positions, each with one of ``size`` codes a codebook."""
        self.shape = (positions, codebooks)
        self.start = nn.Parameter(0.02 * torch.randn(1, self.width))
        self.places = nn.Parameter(0.02 * torch.randn(positions * codebooks, self.width))
        self.embedding = nn.Parameter(0.02 * torch.randn(codebooks, size, self.width))
        self.blocks = nn.ModuleList(
            Block(self.width, self.heads, self.dropout) for _ in range(self.depth)
        )
        self.norm = nn.LayerNorm(self.width)
        self.output = nn.Parameter(torch.zeros(codebooks, size, self.width))
        self.bias = nn.Parameter(torch.zeros(codebooks, size))

    def fit(self, codes: Sequences, per_image: int = 1) -> Self:
        """Maximise the log-probability of codes of the model that it was made for."""
        fit_by_gradient(self, codes, per_image, self.epochs, 64, 2e-3)
        return self

    def log_prob(self, codes: Sequences) -> PerImage:
        """Log p(codes) of each image, in nats, summed over positions and codebooks.

        Long sequences are computed a part of the images at a time, and in training a second time
        for their gradients.
        """
        parts = torch.split(codes, max(1, MANY // self.places.numel()))
        if len(parts) == 1 or not torch.is_grad_enabled():
            return torch.cat([self._log_prob(part) for part in parts])
        found = [checkpoint(self._log_prob, part, use_reentrant=False) for part in parts]
        return torch.cat(found)

    def _log_prob(self, codes: Sequences) -> PerImage:
        logits = self.logits(codes).float().flatten(0, 1)
        nats = F.cross_entropy(logits, codes.flatten(), reduction="none")
        return -nats.view(len(codes), -1).sum(dim=1)

    def logits(self, codes: Sequences) -> Float[Tensor, "n t size"]:
        """Unnormalised log p(code_t | earlier codes) for each place t of the sequence."""
        books = torch.arange(codes.shape[2], device=codes.device)
        embedded = self.embedding[books, codes].flatten(1, 2)
        start = self.start.expand(len(codes), 1, -1)
        hidden = torch.cat([start, embedded[:, :-1]], dim=1) + self.places
        for block in self.blocks:
            hidden, _ = block(hidden)
        hidden = self.norm(hidden).view(*codes.shape, -1)
        return (torch.einsum("npcw,csw->npcs", hidden, self.output) + self.bias).flatten(1, 2)

    @torch.no_grad()
    def sample(self, n: int, temperature: float = 1.0) -> Sequences:
        """``n`` draws, each place by one pass; its logits are divided by the temperature."""
        past: list[KeysAndValues | None] = [None] * len(self.blocks)
        token = self.start.expand(n, 1, -1)
        drawn: list[Tensor] = []
        for t, place in enumerate(self.places):
            book = t % self.shape[1]
            hidden = token + place
            for depth, block in enumerate(self.blocks):
                hidden, past[depth] = block(hidden, past[depth])
            logits = self.norm(hidden) @ self.output[book].T + self.bias[book]
            drawn.append((logits.float().squeeze(1) / temperature).softmax(dim=1).multinomial(1))
            token = self.embedding[book, drawn[-1]]
        return torch.cat(drawn, dim=1).view(n, *self.shape)


class Block(nn.Module):
    """Causal self-attention, then a feed-forward network, each after a layer norm."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.merge = nn.Sequential(nn.Linear(width, width), nn.Dropout(dropout))
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Hidden, past: KeysAndValues | None = None) -> tuple[Hidden, KeysAndValues]:
        """The block's output, and the keys and values of all places so far.

        Args:
            x: all places from the first; or, with ``past``, the one place that follows.
            past: what an earlier call gave back.
        """
        heads = self.query_key_value(self.norm(x)).view(*x.shape[:2], 3 * self.heads, -1)
        query, key, value = heads.transpose(1, 2).chunk(3, dim=1)
        if past is not None:
            key, value = torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2)
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=past is None)
        x = x + self.merge(seen.transpose(1, 2).flatten(2))
        return x + self.feed_forward(x), (key, value)
