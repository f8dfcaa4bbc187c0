"""What a conditional model is told about an image, and how its networks are told."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized

from lightning_gen.contracts import Batch, ImageShape
from lightning_gen.errors import UserError, check_number
from lightning_gen.networks.architecture import Architecture
from lightning_gen.networks.dcgan import AdversarialNetworks
from lightning_gen.noise import uniform_like

Vectors = Float[Tensor, "n k"]
"""A condition as the networks are given it: one-hot, or one number in [0, 1] an attribute."""


@dataclass(frozen=True)
class Condition(ABC):
    """What is known of each image: a vector whose entries have ``names``."""

    names: tuple[str, ...]

    @abstractmethod
    def vectors(self, labels: Shaped[Tensor, "..."]) -> Vectors:
        """The vector of each label, in the form that a user gives it."""

    @abstractmethod
    def of(self, batch: Batch) -> Vectors:
        """The vector of each image of a batch."""

    @abstractmethod
    def others(self, vectors: Vectors) -> Vectors:
        """Another vector for each, at random: of another class, or with another value of a factor.

        Random numbers are torch's global ones; processes that train together share them out.
        """

    @abstractmethod
    def examples(self) -> dict[str, Tensor]:
        """A label to sample for each name worth a row of a picture."""


@dataclass(frozen=True)
class ClassCondition(Condition):
    """The class of an image, one-hot; a label is its number [N] int64."""

    def __post_init__(self) -> None:
        if len(self.names) < 2:
            raise UserError(
                f"a model conditional on the class needs at least 2 classes, and the data has "
                f"{len(self.names)}. Set model.attributes to names of factors, or another model."
            )

    def vectors(self, labels: Shaped[Tensor, "..."]) -> Vectors:
        """One-hot rows."""
        size = len(self.names)
        if labels.is_floating_point() or labels.ndim != 1 or not _within(labels, size - 1):
            raise UserError(
                f"labels are whole numbers from 0 to {size - 1}, one an image, "
                f"got {_summary(labels)}. The classes are {', '.join(self.names)}."
            )
        return F.one_hot(labels.long(), size).float()

    def of(self, batch: Batch) -> Vectors:
        """One-hot labels; to look at their values first would wait for the device."""
        rows = torch.eye(len(self.names), device=batch.labels.device)
        try:
            return rows.index_select(0, batch.labels)
        except IndexError:
            return self.vectors(batch.labels)  # says which values

    def others(self, vectors: Vectors) -> Vectors:
        """Another class, each as often."""
        count = vectors.shape[1]
        further = 1 + _whole(vectors[:, :1], count - 1)
        places = torch.arange(count, device=vectors.device) - further
        return vectors.gather(1, places % count)

    def examples(self) -> dict[str, Tensor]:
        """Each class."""
        return {name: torch.tensor(number) for number, name in enumerate(self.names)}


@dataclass(frozen=True)
class AttributeCondition(Condition):
    """Some factors of an image, each scaled to [0, 1]; a label is such a vector [N, K].

    Attributes:
        columns: where the factors stand in ``Batch.factors``.
        sizes: number of values of each; 2 is an attribute that an image has or has not.
    """

    columns: tuple[int, ...]
    sizes: tuple[int, ...]

    def vectors(self, labels: Shaped[Tensor, "..."]) -> Vectors:
        """The labels themselves."""
        if labels.ndim != 2 or labels.shape[1] != len(self.names) or not _within(labels, 1):
            raise UserError(
                f"labels are {len(self.names)} numbers in [0, 1] an image ({', '.join(self.names)})"
                f", got {_summary(labels)}. Pass for instance a row of zeros and ones."
            )
        return labels.float()

    def of(self, batch: Batch) -> Vectors:
        """The factors, scaled."""
        chosen = zip(self.columns, self.sizes, strict=True)
        return torch.stack([batch.factors[:, at] / max(1, size - 1) for at, size in chosen], dim=1)

    def others(self, vectors: Vectors) -> Vectors:
        """Another value of one factor, each as often."""
        sizes = torch.tensor(self.sizes, device=vectors.device)
        steps = (sizes - 1).clamp(min=1)
        numbers = (vectors * steps).round().long()
        further = 1 + (uniform_like(vectors) * (sizes - 1)).long()
        changed = (numbers + further) % sizes / steps
        chosen = torch.arange(len(sizes), device=vectors.device) == _whole(
            vectors[:, :1], len(sizes)
        )
        return torch.where(chosen, changed.to(vectors), vectors)

    def examples(self) -> dict[str, Tensor]:
        """No attribute, then each one alone."""
        rows = torch.eye(len(self.names))
        return {"none": torch.zeros_like(rows[0]), **dict(zip(self.names, rows, strict=True))}


class TrainingConditions(nn.Module):
    """The conditions of the latest training images, from which new ones are drawn.

    A row that an image had keeps the values of each attribute, and which go together. Before any
    training the ``examples`` are drawn from.
    """

    def __init__(self, examples: Vectors, capacity: int = 4096) -> None:
        super().__init__()
        self.examples = examples  # neither is a buffer: an average of weights must not mix rows
        self.rows = examples[:0]
        self.capacity = capacity

    def __deepcopy__(self, memo: dict[int, object]) -> "TrainingConditions":
        return self  # an average of a model's weights has seen the same images

    # Rows that become more at each step would be compiled anew.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def add(self, vectors: Vectors) -> None:
        """Keep the conditions of a batch, in the place of the oldest ones."""
        self.rows = torch.cat([self.rows.to(vectors), vectors.detach()])[-self.capacity :]

    def draw(self, n: int, device: torch.device) -> Vectors:
        """``n`` of the rows at random, from torch's global random state."""
        rows = (self.rows if len(self.rows) else self.examples).to(device)
        return rows[torch.randint(len(rows), (n,), device=device)]

    def get_extra_state(self) -> Vectors:
        """What a checkpoint keeps."""
        return self.rows.cpu()

    def set_extra_state(self, state: Vectors) -> None:
        """Go on from what a checkpoint has kept."""
        self.rows = state


def make_condition(
    class_names: Sequence[str], attributes: Sequence[str] | None, factors: Mapping[str, int]
) -> Condition:
    """The class, or the factors named in ``attributes``; ``factors`` has the sizes of all."""
    if attributes is None:
        return ClassCondition(tuple(class_names))
    if not attributes or len(set(attributes)) < len(attributes):
        raise UserError(
            f"model.attributes names one factor or more, each once, got {[*attributes]}. "
            "Leave it out to condition on the class."
        )
    for name in attributes:
        if name not in factors:
            known = ", ".join(factors) or "none"
            raise UserError(
                f"model.attributes names factors of the data, got {name!r}. Known: {known}."
            )
    columns = tuple([*factors].index(name) for name in attributes)
    return AttributeCondition(tuple(attributes), columns, tuple(factors[n] for n in attributes))


def _whole(like: Float[Tensor, "n 1"], count: int) -> Int[Tensor, "n 1"]:
    """A whole number from 0 to count - 1 for each row."""
    return (uniform_like(like) * count).long().clamp(max=count - 1)


def _within(labels: Tensor, most: int) -> bool:
    return len(labels) == 0 or (labels.min().item() >= 0 and labels.max().item() <= most)


def _summary(labels: Tensor) -> str:
    shape = list(labels.shape)
    if labels.numel() == 0:
        return f"shape {shape}"
    return f"shape {shape} with values from {labels.min().item():g} to {labels.max().item():g}"


@dataclass(frozen=True)
class ConditionalArchitecture(Architecture):
    """An architecture whose encoder and decoder are told a condition, a vector of ``size`` numbers.

    Each has a linear embedding of it of length ``embedding_dim``, or none.
    """

    architecture: Architecture
    size: int
    embedding_dim: int | None

    def __post_init__(self) -> None:
        if self.embedding_dim is not None:
            remedy = "Set it to 8, or to null for the vector itself."
            check_number("model.embedding_dim", self.embedding_dim, 1, remedy)

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
    """An encoder of C + E channels: images [N, C, H, W] and constant planes of the condition."""

    def __init__(self, encoder: nn.Module, embed: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.embed = embed

    def forward(self, images: Float[Tensor, "n c h w"], vectors: Vectors) -> Float[Tensor, "n d"]:
        """The features [N, D]."""
        planes = self.embed(vectors)[:, :, None, None].expand(-1, -1, *images.shape[2:])
        return self.encoder(torch.cat([images, planes], dim=1))  # type: ignore[no-any-return]


class ConditionalDecoder(nn.Module):
    """A decoder of codes [z, y] whose last ``size`` entries are the condition's vector."""

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


@dataclass(frozen=True)
class ConditionalNetworks(AdversarialNetworks):
    """Networks of a GAN that are told a condition, a vector of ``size`` numbers.

    The generator has it beside the noise, as a code [z, y], and the discriminator by projection.
    """

    networks: AdversarialNetworks
    size: int

    def generator(self, image_shape: ImageShape, latent_dim: int) -> nn.Module:
        """From codes [z, y] to images."""
        return self.networks.generator(image_shape, latent_dim + self.size)

    def discriminator(self, image_shape: ImageShape) -> nn.Module:
        """From images and vectors to raw scores."""
        return ProjectionDiscriminator(self.networks.discriminator(image_shape), self.size)


class ProjectionDiscriminator(nn.Module):
    """A discriminator that is told a condition (Miyato & Koyama 2018, arXiv:1802.05637).

    The score is w h + b + h V y, of the features h of an image and its condition y.
    """

    def __init__(self, discriminator: nn.Module, size: int) -> None:
        super().__init__()
        layers = [*discriminator.children()] if isinstance(discriminator, nn.Sequential) else []
        score, last = layers[-2:] if len(layers) > 1 else (discriminator, discriminator)
        if not (isinstance(score, nn.Linear) and isinstance(last, nn.Flatten)) or (
            score.out_features != 1
        ):
            raise UserError(
                "a conditional GAN takes a discriminator that is an nn.Sequential and ends with "
                f"nn.Linear(features, 1) and nn.Flatten(0), got {type(discriminator).__name__}."
            )
        self.features = nn.Sequential(*layers[:-2])
        self.score = score
        self.embed = nn.Linear(size, score.in_features, bias=False)
        if is_parametrized(score):
            spectral_norm(self.embed)
        else:
            nn.init.zeros_(self.embed.weight)

    def forward(self, images: Float[Tensor, "n c h w"], vectors: Vectors) -> Float[Tensor, " n"]:
        """The raw score of each image."""
        return self.score_under(vectors, self.features(images))

    def score_under(self, vectors: Vectors, features: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """The raw score of images under a condition, of their features."""
        told = (features * self.embed(vectors)).sum(dim=1)
        return self.score(features).flatten() + told  # type: ignore[no-any-return]
