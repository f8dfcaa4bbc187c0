"""mean(A) - mean(B) + mean(C), decoded."""

from collections.abc import Sequence
from difflib import get_close_matches

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lightning_gen.contracts import Codes, Decodes
from lightning_gen.errors import UserError
from lightning_gen.views.codes import LabelledCodes
from lightning_gen.views.view import View

Terms = tuple[str, str, str]

MEANINGFUL: tuple[Terms, ...] = (
    ("Smiling", "!Smiling", "Male"),
    ("Pullover", "T-shirt/top", "Dress"),  # what has long sleeves, less what has not
)
"""Sums that say something: the first two differ in one thing, which the third is given."""


def arithmetic(
    model: Decodes,
    codes: LabelledCodes,
    terms: Terms,
    class_names: Sequence[str],
    factor_names: Sequence[str],
    device: torch.device,
) -> View:
    """The three mean codes, decoded, and mean(A) - mean(B) + mean(C).

    The sum is that of Radford, Metz & Chintala 2016 (arXiv:1511.06434). A UserError says that there
    is no class or attribute of a name, or no image of it.

    The terms are names of classes, or of factors: an image has an attribute where its factor is not
    0, and ``!Smiling`` is without it.
    """
    check_terms(terms, class_names, factor_names)
    chosen = [select(codes, name, class_names, factor_names) for name in terms]
    pairs = zip(chosen, terms, strict=True)
    first, second, third = (_mean(codes.codes, mask, name) for mask, name in pairs)
    total = torch.stack([first, second, third, first - second + third])
    images = model.decode(total.to(device))
    a, b, c = terms
    counts = ", ".join(str(int(mask.sum())) for mask in chosen)
    title = f"{a} - {b} + {c}: means of {counts} codes and their sum, decoded"
    return View({"": images}, title, (a, f"- {b}", f"+ {c}", "= sum"))


def _mean(codes: Codes, chosen: Bool[Tensor, " n"], name: str) -> Float[Tensor, " d"]:
    if not chosen.any():
        raise UserError(f"there is no image of {name!r} among {len(codes)}. Take more images.")
    return codes[chosen].mean(dim=0)


def select(
    codes: LabelledCodes, name: str, class_names: Sequence[str], factor_names: Sequence[str]
) -> Bool[Tensor, " n"]:
    """Which images are of the class, or have the attribute, or with ``!`` have it not."""
    if name in class_names:
        return codes.labels == list(class_names).index(name)
    attribute = codes.factors[:, list(factor_names).index(name.removeprefix("!"))] != 0
    return ~attribute if name.startswith("!") else attribute


def check_terms(
    terms: Sequence[str], class_names: Sequence[str], factor_names: Sequence[str]
) -> None:
    """Raise a UserError where a term is no class and no attribute."""
    known = [*class_names, *factor_names, *(f"!{name}" for name in factor_names)]
    for name in terms:
        if name not in known:
            close = get_close_matches(name, known, n=3, cutoff=0.4) or known[:20]
            raise UserError(
                f"arithmetic takes names of classes or attributes, got {name!r}. "
                f"Did you mean {' or '.join(close)}?"
            )


def default_terms(
    codes: LabelledCodes, class_names: Sequence[str], factor_names: Sequence[str]
) -> Terms | None:
    """The first of ``MEANINGFUL`` of whose terms there are images; None where there is none."""
    known = {*class_names, *factor_names, *(f"!{name}" for name in factor_names)}
    for terms in MEANINGFUL:
        if known.issuperset(terms) and all(
            select(codes, name, class_names, factor_names).any() for name in terms
        ):
            return terms
    return None
