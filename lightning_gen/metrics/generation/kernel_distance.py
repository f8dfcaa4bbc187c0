"""The kernel distance between real and generated features."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import one_hot

from lightning_gen.metrics.estimate import GROUPS, Estimate, check_groups, jackknife_variance
from lightning_gen.metrics.generation.stored import StoredFeatures

BLOCK = 1024
"""Images on each side of a block of the kernel matrix: 8 MiB in float64."""

Sums = Float[Tensor, "g g"]


class KernelDistance(StoredFeatures):
    """E k(x, x') + E k(y, y') - 2 E k(x, y) with the kernel k(x, y) = (x.y / D + 1)^3.

    Binkowski et al. 2018 (arXiv:1801.01401); "KID" where the features are those of Inception v3.
    The unbiased estimate over all pairs of images, no image with itself: its mean does not depend
    on the number of images and is 0 where the distributions are equal, so that a value may be below
    0. Lower is better; the unit is the features' to the sixth power. Only values of the same
    extractor and the same resizing compare.

    The standard error is that of a delete-a-group jackknife, as for
    :class:`~lightning_gen.metrics.generation.FrechetDistance`, from sums over pairs of groups.

    The kernel is computed in float64, since a mean far from 0 enters it in the third power; in
    blocks of 8 MiB. To these come the features.

    Args:
        groups: of the jackknife, 2 or more, fewer where there are fewer images; 0 for no standard
            error (nan).
    """

    higher_is_better: bool | None = False

    def __init__(self, groups: int = GROUPS) -> None:
        super().__init__()
        check_groups("KernelDistance", groups)
        self.groups = groups

    def compute(self) -> Estimate:
        """The distance over all images, and its standard error, in float64."""
        x, y = self.features(2, "Measure more images.")
        groups = min(self.groups, len(x), len(y))
        within_x, within_y = kernel_sums(x, x, groups), kernel_sums(y, y, groups)
        between = kernel_sums(x, y, groups)
        for sums, images in ((within_x, x), (within_y, y)):
            with_itself = (images.double().square().sum(dim=1) / images.shape[1] + 1).pow(3)
            sums.diagonal().sub_(with_itself @ _members(images, groups))
        part_x, part_y = _mean_of_pairs(within_x, len(x)), _mean_of_pairs(within_y, len(y))
        value = part_x + part_y - 2 * between.sum() / (len(x) * len(y))
        without_x = _without_each_group(within_x, between, len(x), len(y)) + part_y
        without_y = _without_each_group(within_y, between.T, len(y), len(x)) + part_x
        variance = jackknife_variance(without_x) + jackknife_variance(without_y)
        return Estimate(value, variance.sqrt())


def polynomial_kernel(x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    """(x.y / D + 1)^3 of all pairs, in float64 (Binkowski et al. 2018, section 4)."""
    base = (x.double() @ y.double().T).div_(x.shape[1]).add_(1)
    return base.square().mul_(base)


def kernel_sums(x: Float[Tensor, "n d"], y: Float[Tensor, "m d"], groups: int) -> Sums:
    """The kernel's sum over all pairs of an image of group i of x and one of group j of y."""
    members_x, members_y = _members(x, groups), _members(y, groups)
    sums = members_x.new_zeros(members_x.shape[1], members_y.shape[1])
    for rows, of_rows in zip(torch.split(x, BLOCK), torch.split(members_x, BLOCK), strict=True):
        for first in range(0, len(y), BLOCK):
            columns = slice(first, first + BLOCK)
            sums += of_rows.T @ (polynomial_kernel(rows, y[columns]) @ members_y[columns])
    return sums


def _members(x: Float[Tensor, "n d"], groups: int) -> Float[Tensor, "n g"]:
    """1 where image i is of group j, else 0; one group of all images where ``groups`` is 0."""
    groups = max(groups, 1)
    return one_hot(torch.arange(len(x), device=x.device) % groups, groups).double()


def _mean_of_pairs(within: Sums, images: int) -> Float[Tensor, ""]:
    return within.sum() / (images * (images - 1))


def _without_each_group(
    within: Sums, between: Sums, images: int, others: int
) -> Float[Tensor, " g"]:
    """The terms of the distance that the images have a part in, without each group in turn."""
    groups = len(within)
    sizes = (images - torch.arange(groups, device=within.device) + groups - 1) // groups
    kept = images - sizes
    pairs = within.sum() - within.sum(dim=0) - within.sum(dim=1) + within.diagonal()
    crossed = between.sum() - between.sum(dim=1)
    return pairs / (kept * (kept - 1)) - 2 * crossed / (kept * others)
