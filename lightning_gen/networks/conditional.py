"""How the networks of a conditional model are told its condition."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lightning_gen.contracts import ImageShape
from lightning_gen.errors import UserError
from lightning_gen.networks.architecture import Architecture
from lightning_gen.networks.condition import Vectors


@dataclass(frozen=True)
class ConditionalArchitecture(Architecture):
    """An architecture whose encoder and decoder are told a condition.

    Args:
        architecture: makes the networks.
        size: length of the condition's vector.
        embedding_dim: length of a linear embedding of it, one in each network; None for none.
    """

    architecture: Architecture
    size: int
    embedding_dim: int | None

    def __post_init__(self) -> None:
        if self.embedding_dim is not None and self.embedding_dim < 1:
            raise UserError(
                f"model.embedding_dim is at least 1, got {self.embedding_dim}. "
                "Set it to 8, or to null for the vector itself."
            )

    def encoder(self, image_shape: ImageShape, out_features: int) -> nn.Module:
        """From images and vectors to features."""
        channels, height, width = image_shape
        embed, length = self._embedding()
        shape = (channels + length, height, width)
        return ConditionalEncoder(self.architecture.encoder(shape, out_features), embed)

    def decoder(
        self, image_shape: ImageShape, in_features: int, params_per_channel: int
    ) -> nn.Module:
        """From codes [z, y] to raw parameters."""
        embed, length = self._embedding()
        inner = self.architecture.decoder(image_shape, in_features + length, params_per_channel)
        return ConditionalDecoder(inner, embed, self.size)

    def _embedding(self) -> tuple[nn.Module, int]:
        if self.embedding_dim is None:
            return nn.Identity(), self.size
        return nn.Linear(self.size, self.embedding_dim, bias=False), self.embedding_dim


class ConditionalEncoder(nn.Module):
    """An encoder whose images carry the condition as further channels of constant planes.

    Args:
        encoder: takes images of C + E channels.
        embed: from vectors [N, K] to [N, E].
    """

    def __init__(self, encoder: nn.Module, embed: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.embed = embed

    def forward(self, images: Float[Tensor, "n c h w"], vectors: Vectors) -> Float[Tensor, "n d"]:
        """The features [N, D]."""
        planes = self.embed(vectors)[:, :, None, None].expand(-1, -1, *images.shape[2:])
        return self.encoder(torch.cat([images, planes], dim=1))  # type: ignore[no-any-return]


class ConditionalDecoder(nn.Module):
    """A decoder of codes [z, y] whose last entries are the condition's vector.

    Args:
        decoder: takes codes of length D + E.
        embed: from vectors [N, K] to [N, E].
        size: K, the length of a vector.
    """

    def __init__(self, decoder: nn.Module, embed: nn.Module, size: int) -> None:
        super().__init__()
        self.decoder = decoder
        self.embed = embed
        self.size = size

    def forward(self, codes: Float[Tensor, "n d"]) -> Float[Tensor, "n p h w"]:
        """The likelihood's raw parameters."""
        latent, vectors = codes[:, : -self.size], codes[:, -self.size :]
        told = torch.cat([latent, self.embed(vectors)], dim=1)
        return self.decoder(told)  # type: ignore[no-any-return]
