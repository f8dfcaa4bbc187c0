"""mean(A) - mean(B) + mean(C), decoded."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lightning_gen.contracts import Codes, Decodes, Encodes
from lightning_gen.errors import UserError
from lightning_gen.pictures.codes import LabelledCodes, device_of
from lightning_gen.pictures.picture import (
    NO_NAMES,
    CodePicture,
    Names,
    NothingToDrawError,
    Seen,
    View,
)

ThreeNames = tuple[str, str, str]

MEANINGFUL: tuple[ThreeNames, ...] = (
    ("Smiling", "!Smiling", "Male"),
    ("Pullover", "T-shirt/top", "Dress"),  # what has long sleeves, less what has not
)
"""Sums that say something: the first two differ in one thing, which the third is given."""


@dataclass(frozen=True)
class Arithmetic(CodePicture):
    """Mean codes of three classes or attributes, decoded, and mean(A) - mean(B) + mean(C).

    The sum is that of Radford, Metz & Chintala 2016 (arXiv:1511.06434).

    Args:
        num_images: the first so many are encoded.
        terms: names of A, B and C, classes or factors: an image has an attribute where its factor
            is not 0, and ``!Smiling`` is without it. By default those that say something of faces
            and of Fashion-MNIST, and nothing where the data have others.
    """

    requires = (Encodes, Decodes)

    terms: ThreeNames | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.terms is not None and len(self.terms) != 3:
            raise UserError(
                f"Arithmetic.terms are three names, got {', '.join(self.terms)}. Name A, B and C. "
                "Quote a name that has blanks."
            )

    def check(self, model: object, names: Names = NO_NAMES) -> None:
        """Raise a UserError where the model or the data lack what is shown."""
        super().check(model, names)
        if self.terms is not None:
            check_terms(self.terms, names)

    def draw(self, model: Any, seen: Seen) -> View:  # noqa: ANN401
        """The terms and their sum; a UserError where there is no image of one of them."""
        codes, names = self.codes_of(seen), seen.names
        terms = self.terms or default_terms(codes, names)
        if terms is None:
            raise NothingToDrawError("no three classes of these data are known to say something.")
        check_terms(terms, names)
        chosen = [select(codes, name, names) for name in terms]
        pairs = zip(chosen, terms, strict=True)
        first, second, third = (_mean(codes.codes, mask, name) for mask, name in pairs)
        total = torch.stack([first, second, third, first - second + third])
        images = model.decode(total.to(device_of(model)))
        a, b, c = terms
        counts = ", ".join(str(int(mask.sum())) for mask in chosen)
        title = f"{a} - {b} + {c}: means of {counts} codes and their sum, decoded"
        return View({"": images}, title, (a, f"- {b}", f"+ {c}", "= sum"))


def _mean(codes: Codes, chosen: Bool[Tensor, " n"], name: str) -> Float[Tensor, " d"]:
    if not chosen.any():
        raise UserError(f"there is no image of {name!r} among {len(codes)}. Take more images.")
    return codes[chosen].mean(dim=0)


def select(codes: LabelledCodes, name: str, names: Names) -> Bool[Tensor, " n"]:
    """Which images are of the class, or have the attribute, or with ``!`` have it not."""
    if name in names.classes:
        return codes.labels == list(names.classes).index(name)
    attribute = codes.factors[:, list(names.factors).index(name.removeprefix("!"))] != 0
    return ~attribute if name.startswith("!") else attribute


def terms_of(names: Names) -> list[str]:
    """What may be a term: a class, an attribute, or its absence."""
    return [*names.classes, *names.factors, *(f"!{name}" for name in names.factors)]


def check_terms(terms: Sequence[str], names: Names) -> None:
    """Raise a UserError where a term is no class and no attribute."""
    known = terms_of(names)
    for name in terms:
        if name not in known:
            close = get_close_matches(name, known, n=3, cutoff=0.4) or known[:20]
            raise UserError(
                f"arithmetic takes names of classes or attributes, got {name!r}. "
                f"Did you mean {' or '.join(close)}?"
            )


def default_terms(codes: LabelledCodes, names: Names) -> ThreeNames | None:
    """The first of ``MEANINGFUL`` of whose terms there are images; None where there is none."""
    known = {*terms_of(names)}
    there = (terms for terms in MEANINGFUL if known.issuperset(terms))
    return next((t for t in there if all(select(codes, n, names).any() for n in t)), None)
