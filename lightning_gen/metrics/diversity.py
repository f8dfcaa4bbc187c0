"""How much images differ from each other."""

import torch
from jaxtyping import Float
from torch import Tensor


def mean_pairwise_distance(images: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
    """Mean Euclidean distance between two of the images, in units of the image range, on the CPU.

    Over all pairs of different images: nan for fewer than two.
    """
    return torch.pdist(images.flatten(1).float().cpu()).mean()
