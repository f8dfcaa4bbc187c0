"""Codes found by descending along the gradient of a decoder."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch.optim import Adam

from lightning_gen.contracts import Codes, Images, PerImage
from lightning_gen.errors import UserError

BETAS = (0.9, 0.99)


class Descent(NamedTuple):
    """Codes [N, D], and the distance of the image of each to the wanted one."""

    codes: Codes
    distances: PerImage


def descend(
    decode: Callable[[Codes], Images],
    distance: Callable[[Images], PerImage],
    starts: Codes,
    free: int,
    steps: int,
    rate: float,
) -> Iterator[Descent]:
    """Minimise the distance of each decoded code by Adam; yield the best codes up to each step.

    The ``rate`` stays for half of the steps and then falls to 0 in a line. Codes do not depend on
    those beside them. A UserError says that the decoder has no gradient.

    Args:
        decode: images of codes.
        distance: of each of these images to the wanted one.
        starts: the first codes [N, D].
        free: how many entries of a code are changed, the first ones.
        steps: of Adam; with the ``starts`` one more is yielded.
        rate: the learning rate, in the units of a code.
    """
    moved, rest = starts[:, :free].clone().requires_grad_(), starts[:, free:]
    optimizer = Adam([moved], rate, BETAS)
    best, least = starts, torch.full_like(starts[:, 0], torch.inf)
    for step in range(steps + 1):
        with torch.enable_grad():
            codes = torch.cat([moved, rest], dim=1)
            distances = distance(decode(codes))
            if not distances.requires_grad:
                raise UserError(
                    "a search follows the gradient of the decoder, and this one has none: it looks "
                    "codes up in codebooks. Take another model, or encode."
                )
            [moved.grad] = torch.autograd.grad(distances.sum(), moved)
        nearer = distances.detach() < least
        best = torch.where(nearer[:, None], codes.detach(), best)
        least = torch.where(nearer, distances.detach(), least)
        yield Descent(best, least)
        optimizer.param_groups[0]["lr"] = rate * min(1.0, 2 - 2 * step / steps)
        optimizer.step()
