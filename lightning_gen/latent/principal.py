"""The principal axes of codes."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from lightning_gen.contracts import Codes
from lightning_gen.errors import UserError


class PrincipalComponents(NamedTuple):
    """The directions in which codes vary most, and how much; in float64, on the CPU."""

    mean: Float[Tensor, " d"]
    axes: Float[Tensor, "k d"]
    """Unit vectors; zero where nothing varies."""
    variances: Float[Tensor, " k"]
    """Of the codes along each axis."""
    shares: Float[Tensor, " k"]
    """Of the variance of the codes in all."""

    def project(self, codes: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """Where codes lie along the axes, seen from the mean."""
        return (codes.detach().double().cpu() - self.mean) @ self.axes.T


def principal_components(codes: Codes, count: int = 2) -> PrincipalComponents:
    """The first ``count`` principal components of codes [N, D], fewer where N or D is less.

    The sign of an axis is free: its largest entry is positive, so that pictures stay the same.

    Raises:
        UserError: a code is not finite.
    """
    check_finite(codes)
    exact = codes.detach().double().cpu()
    mean = exact.mean(dim=0)
    centred = exact - mean
    wide = centred.shape[0] < centred.shape[1]
    # Both products have the same eigenvalues: the smaller one is decomposed.
    scatter = centred @ centred.T if wide else centred.T @ centred
    eigenvalues, vectors = torch.linalg.eigh(scatter)
    squares = eigenvalues.flip(0)[:count].clamp(min=0)
    axes = vectors.flip(1)[:, :count].T
    if wide:
        axes = axes @ centred
    lengths = axes.norm(dim=1, keepdim=True)
    varies = squares[:, None] > torch.finfo(torch.float64).eps * len(centred) * squares.max()
    axes = torch.where(varies, axes / lengths, 0)
    largest = axes.gather(1, axes.abs().argmax(dim=1, keepdim=True))
    variances = squares / max(1, len(codes) - 1)
    shares = squares / centred.square().sum().clamp(min=torch.finfo(torch.float64).tiny)
    return PrincipalComponents(mean, torch.where(largest < 0, -axes, axes), variances, shares)


def check_finite(codes: Codes) -> None:
    """Raise a UserError where a code is NaN or infinite."""
    broken = int((~codes.isfinite()).any(dim=1).sum())
    if broken:
        raise UserError(
            f"{broken} of {len(codes)} codes are NaN or infinite. Lower the learning rate, or take "
            "an earlier checkpoint."
        )
