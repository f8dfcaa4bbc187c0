"""What data, models and tools promise each other: the batch and the capabilities of a model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, NamedTuple, Protocol, get_args, runtime_checkable

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from lightning_gen.errors import UserError

ImageShape = tuple[int, int, int]
"""(channels, height, width)"""

Images = Float[Tensor, "n c h w"]
"""float32 in [0, 1]: the only image range that models and pictures know."""

Codes = Float[Tensor, "n d"]
"""Latent codes; a spatial or quantised latent is flattened."""

PerImage = Float[Tensor, " n"]
"""A number for each image."""

NO_CLASS = -1
"""The label of an image whose class is not known."""


class Batch(NamedTuple):
    """One batch of a dataset.

    A loader hands out uint8 images; on the device they become float32 in [0, 1] before a model
    sees them. ``labels`` are zeros where a dataset has none, and NO_CLASS where that of an image is
    not known; ``factors`` are ground-truth factors or attributes, with F = 0 where there are none.
    """

    images: Shaped[Tensor, "n c h w"]
    labels: Int[Tensor, " n"]
    factors: Shaped[Tensor, "n f"]

    def first(self, n: int) -> "Batch":
        """Its first ``n`` images, fewer where it has fewer."""
        return Batch(self.images[:n], self.labels[:n], self.factors[:n])

    @classmethod
    def joined(cls, parts: Sequence["Batch"]) -> "Batch":
        """Several batches as one."""
        return cls(*(torch.cat(pieces) for pieces in zip(*parts, strict=True)))


@dataclass(frozen=True)
class DataInfo:
    """What a datamodule knows of its images when it is made, before anything is downloaded.

    Whatever asks for a property of a dataset reads it here, as ``data.info.class_names``.

    Attributes:
        image_shape: (channels, height, width).
        class_names: a name for each label; one name where there are no classes.
        factor_names: a name for each column of ``Batch.factors``.
        factor_sizes: number of values of each factor.
        normal_classes: the labels that alone are trained on, the normal ones of anomaly detection;
            empty where all are.
        value_range: the values that are black and white in files of more than 8 bits; None where
            the images have 8.
    """

    image_shape: ImageShape
    class_names: tuple[str, ...] = ("image",)
    factor_names: tuple[str, ...] = ()
    factor_sizes: tuple[int, ...] = ()
    normal_classes: tuple[int, ...] = ()
    value_range: tuple[float, float] | None = None


def info_of(data: object) -> DataInfo | None:
    """The ``info`` of a datamodule; None of one that has none, or where there is no datamodule."""
    info = getattr(data, "info", None)
    return info if isinstance(info, DataInfo) else None


def as_batch(batch: object) -> Batch:
    """What a plain DataLoader hands out, as a :class:`Batch`.

    Args:
        batch: a Batch, which is given back as it is; or images alone, or (images, y), where y are
            labels [N] or factors [N, F]. Images are [N, C, H, W], uint8 or in [0, 1]. A UserError
            says that it is something else.
    """
    if isinstance(batch, Batch):
        return batch
    parts: list[Any] = [*batch] if isinstance(batch, list | tuple) else [batch]
    shapes = [tuple(part.shape) for part in parts if isinstance(part, Tensor)]
    dimensions = [len(shape) for shape in shapes]
    if len(shapes) < len(parts) or dimensions not in ([4], [4, 1], [4, 2]):
        got = f"shapes {shapes}" if len(shapes) == len(parts) else type(batch).__name__
        raise UserError(
            "a batch is images [N, C, H, W], or these with labels [N] or factors [N, F], got "
            f"{got}. Let the dataset give (image, label), or take one of lightning_gen.data."
        )
    images, *known = parts
    labels = images.new_zeros(len(images), dtype=torch.int64)
    factors = images.new_empty(len(images), 0, dtype=torch.float32)
    if dimensions == [4, 1]:
        labels = known[0].long()
    elif known:
        factors = known[0]
    return Batch(images.float() / (1 if images.is_floating_point() else 255), labels, factors)


@runtime_checkable
class Posterior(Protocol):
    """A diagonal Gaussian q(z|x): ``mean`` and ``log_var``, each [N, D]."""

    @property
    def mean(self) -> Codes:
        """The mean of each dimension."""

    @property
    def log_var(self) -> Codes:
        """The natural logarithm of the variance of each dimension."""


Terms = dict[str, Tensor]
"""Means over a batch by name: ``loss``, which training minimises, and its parts."""


@runtime_checkable
class Encodes(Protocol):
    """A model that turns images into codes."""

    def encode(self, images: Images) -> Codes:
        """Codes [N, D] of images [N, C, H, W]."""


@runtime_checkable
class Decodes(Protocol):
    """A model that turns codes into images."""

    def decode(self, codes: Codes) -> Images:
        """Images [N, C, H, W] of codes [N, D]."""


@runtime_checkable
class Reconstructs(Protocol):
    """A model that gives an image back through its code."""

    def reconstruct(self, images: Images) -> Images:
        """The reconstruction of each image."""


@runtime_checkable
class SamplesImages(Protocol):
    """A model that makes new images."""

    def sample(self, n: int) -> Images:
        """``n`` new images, from torch's global random state."""


@runtime_checkable
class SamplesCodes(Protocol):
    """A model that draws codes from a prior, its ``prior``; without that one p(z) = N(0, I)."""

    @property
    def latent_dim(self) -> int:
        """How many entries of a code the prior is over, the first ones; a condition follows."""

    def sample_codes(self, n: int) -> Codes:
        """``n`` codes [N, D]; ``decode`` of them is what ``sample`` gives from the same noise."""


@runtime_checkable
class Infers(Protocol):
    """A model with a Gaussian posterior over its codes."""

    def posterior(self, images: Images) -> Posterior:
        """q(z|x) of each image."""


@runtime_checkable
class DrawsCodes(Protocol):
    """A model with a posterior over its codes that is no single Gaussian."""

    def draw_codes(self, images: Images) -> Codes:
        """One draw [N, D] of q(z|x) of each image."""


@runtime_checkable
class ObservationModel(Protocol):
    """p(x|z), and what its numbers are."""

    @property
    def discrete(self) -> bool:
        """Whether it is a probability of 8-bit pixels."""

    @property
    def binary(self) -> bool:
        """Whether it is a probability of pixels 0 and 1 only."""


@runtime_checkable
class EstimatesLikelihood(Protocol):
    """A model that bounds log p(x) by importance sampling from its posterior."""

    @property
    def observation_model(self) -> ObservationModel:
        """p(x|z). A property, since ``isinstance`` sees no submodules from Python 3.12 on."""

    def log_weights(self, images: Images, num_samples: int) -> Float[Tensor, "k n"]:
        """Log p(x, z) / q(z|x) of ``num_samples`` posterior draws for each image, in nats."""


@runtime_checkable
class Denoises(Protocol):
    """A model that is trained to give clean images back from damaged ones."""

    def corrupt(self, images: Images) -> Images:
        """Damaged images, as training shows them to the encoder."""


@runtime_checkable
class Conditional(Protocol):
    """A model that is told something about each image, such as its class.

    What it can do without (``sample``) it offers itself; what it cannot (``encode``), what
    ``condition_on`` gives.
    """

    def examples(self) -> dict[str, Tensor]:
        """The label of one image for each name worth a row of a picture."""

    def sample(self, n: int, labels: Tensor | None = None) -> Images:
        """``n`` new images with these labels, one an image; None draws them."""

    def condition_on(self, batch: Batch) -> Any:  # noqa: ANN401  (any of the capabilities above)
        """The model with the condition of each image of ``batch`` filled in."""

    @property
    def conditioned(self) -> Any:  # noqa: ANN401  (any of the capabilities above)
        """What ``condition_on`` gives, of no image: it tells what the model can do with one."""


@runtime_checkable
class TrainsDiscriminator(Protocol):
    """A model whose training is a game of two players."""

    def discriminator_terms(self, seen: Any, training_step: int | None) -> Any:  # noqa: ANN401
        """What the discriminator minimises, and its parts."""


@runtime_checkable
class Quantizes(Protocol):
    """A model whose codes are entries of codebooks."""

    @property
    def codebook_size(self) -> int:
        """How many codes each codebook has."""

    def quantize(self, images: Images) -> Int[Tensor, "n positions codebooks"]:
        """The index of the code of each position of the latent map, row by row."""


def condition_on(model: object, batch: Batch) -> Any:  # noqa: ANN401
    """``model``, which knows the condition of each image of ``batch`` if it is a conditional one.

    Whatever asks a model to encode, decode or reconstruct images of a dataset goes through here.
    """
    return model.condition_on(batch) if isinstance(model, Conditional) else model


Needs = tuple[type | UnionType, ...]
"""Capabilities that are all needed; of a union one is enough."""

WALKS: Needs = (Decodes, Encodes | SamplesCodes)
"""A latent space to walk through: codes of images, or of the prior, and what they decode to."""


def able(model: object, needs: Needs) -> bool:
    """Whether ``model``, with a condition if it is a conditional one, is capable of all ``needs``.

    Where this is asked for, :func:`condition_on` fills the condition in.
    """
    forms = (model, model.conditioned) if isinstance(model, Conditional) else (model,)
    return all(any(isinstance(form, need) for form in forms) for need in needs)


def require(model: object, needs: Needs, asker: str, remedy: str) -> None:
    """Raise a UserError, which ends with the ``remedy``, where ``model`` lacks what it needs."""
    for need in needs:
        if not able(model, (need,)):
            kinds = get_args(need) or (need,)
            wanted = " or ".join(_in_words(kind.__name__) for kind in kinds)
            lacks = "is not" if wanted.startswith("is ") else "does not"
            raise UserError(
                f"{asker} needs a model that {wanted}, and {type(model).__name__} {lacks}. {remedy}"
            )


def _in_words(name: str) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    return words if words.split()[0].endswith("s") else f"is {words}"
