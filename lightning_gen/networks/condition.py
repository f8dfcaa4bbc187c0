"""What a conditional model is told about an image."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from lightning_gen.contracts import Batch
from lightning_gen.errors import UserError

Vectors = Float[Tensor, "n k"]
"""A condition as the networks are given it: one-hot, or one number in [0, 1] an attribute."""


@dataclass(frozen=True)
class Condition(ABC):
    """What is known of each image.

    Attributes:
        names: a name for each entry of the vector.
    """

    names: tuple[str, ...]

    @abstractmethod
    def vectors(self, labels: Shaped[Tensor, "..."]) -> Vectors:
        """The vector of each label, in the form that a user gives it."""

    @abstractmethod
    def of(self, batch: Batch) -> Vectors:
        """The vector of each image of a batch."""

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
                f"{len(self.names)}. Set model.attributes to names of factors, or use VAE."
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
        """One-hot labels; ``F.one_hot`` would fetch the largest one from the device."""
        return torch.eye(len(self.names), device=batch.labels.device)[batch.labels]

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

    @classmethod
    def named(cls, names: Sequence[str], factors: Mapping[str, int]) -> "AttributeCondition":
        """The condition on the factors of these names; ``factors`` gives the sizes of all.

        Raises:
            UserError: the data has no factor of a name.
        """
        for name in names:
            if name not in factors:
                known = ", ".join(factors) or "none"
                raise UserError(
                    f"model.attributes names factors of the data, got {name!r}. Known: {known}."
                )
        places = {name: place for place, name in enumerate(factors)}
        columns = tuple(places[name] for name in names)
        return cls(tuple(names), columns, tuple(factors[name] for name in names))

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

    def examples(self) -> dict[str, Tensor]:
        """No attribute, then each one alone."""
        rows = torch.eye(len(self.names))
        return {"none": torch.zeros_like(rows[0]), **dict(zip(self.names, rows, strict=True))}


class TrainingConditions(nn.Module):
    """The conditions of the latest training images, from which new ones are drawn.

    A row that an image had keeps the values of each attribute, and which go together.

    Args:
        examples: what is drawn from before any training.
        capacity: how many rows are kept.
    """

    def __init__(self, examples: Vectors, capacity: int = 4096) -> None:
        super().__init__()
        self.rows = examples  # no buffer: an average of the weights must not mix rows
        self.capacity = capacity
        self.seen = 0

    # A count that changes at each step would be compiled anew.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def add(self, vectors: Vectors) -> None:
        """Keep the conditions of a batch, in the place of the oldest ones."""
        if self.seen == 0:
            self.rows = vectors.new_empty(self.capacity, vectors.shape[1])
        latest = vectors.detach()[-self.capacity :]
        self.rows = self.rows.to(latest.device)
        places = torch.arange(self.seen, self.seen + len(latest), device=latest.device)
        self.rows[places % self.capacity] = latest
        self.seen += len(latest)

    def draw(self, n: int, device: torch.device) -> Vectors:
        """``n`` of the rows at random, from torch's global random state."""
        self.rows = self.rows.to(device)
        known = min(self.seen, self.capacity) or len(self.rows)
        return self.rows[torch.randint(known, (n,), device=device)]

    def get_extra_state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"rows": self.rows[: self.seen or None].cpu(), "seen": self.seen}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Go on from what a checkpoint has kept."""
        rows, self.seen = state["rows"], state["seen"]
        self.rows = rows.new_empty(self.capacity, rows.shape[1]) if self.seen else rows
        self.rows[: len(rows)] = rows


def condition_on(
    class_names: Sequence[str], attributes: Sequence[str] | None, factors: Mapping[str, int]
) -> Condition:
    """The class, or the factors of the names in ``attributes``."""
    if attributes is None:
        return ClassCondition(tuple(class_names))
    return AttributeCondition.named(attributes, factors)


def _within(labels: Tensor, most: int) -> bool:
    return len(labels) == 0 or (labels.min().item() >= 0 and labels.max().item() <= most)


def _summary(labels: Tensor) -> str:
    shape = list(labels.shape)
    if labels.numel() == 0:
        return f"shape {shape}"
    return f"shape {shape} with values from {labels.min().item():g} to {labels.max().item():g}"
