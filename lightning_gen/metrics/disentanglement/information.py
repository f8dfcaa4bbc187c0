"""Mutual information of binned codes and factors, in nats."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def equal_width_bins(codes: Float[Tensor, "n d"], bins: int) -> Int[Tensor, "n d"]:
    """Number of each code's bin, of ``bins`` between its dimension's least and largest value."""
    codes = codes.double()
    low, high = codes.amin(dim=0), codes.amax(dim=0)
    width = torch.where(high > low, high - low, 1.0)
    return ((codes - low) / width * bins).long().clamp(max=bins - 1)


def mutual_information(
    binned: Int[Tensor, "n d"], factors: Int[Tensor, "n f"]
) -> Float[Tensor, "d f"]:
    """I(z_j; v_k) = sum p(z, v) log(p(z, v) / (p(z) p(v))), in nats, from the joint histogram.

    It is too large by about (bins - 1)(values - 1) / 2n for n images, which is what a code that
    says nothing has. A constant dimension has exactly 0.
    """
    return torch.stack([_of_one_factor(binned, column) for column in factors.T], dim=1)


def _of_one_factor(binned: Int[Tensor, "n d"], factor: Int[Tensor, " n"]) -> Float[Tensor, " d"]:
    (n, d), bins = binned.shape, int(binned.max()) + 1
    values, number = torch.unique(factor, return_inverse=True)
    cells = (torch.arange(d) * bins + binned) * len(values) + number[:, None]
    joint = cells.flatten().bincount(minlength=d * bins * len(values)).double()
    joint = joint.view(d, bins, len(values))
    apart = joint.sum(dim=2, keepdim=True) * joint.sum(dim=1, keepdim=True)
    return torch.xlogy(joint, joint * n / apart.clamp(min=1)).sum(dim=(1, 2)) / n


def entropy(factors: Int[Tensor, "n f"]) -> Float[Tensor, " f"]:
    """H(v_k) = -sum p(v) log p(v), in nats, from the histogram of each factor."""
    counts = [torch.unique(column, return_counts=True)[1].double() for column in factors.T]
    return torch.stack([-torch.xlogy(c / c.sum(), c / c.sum()).sum() for c in counts])
