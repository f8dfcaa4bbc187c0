"""A small convolutional classifier, and the random shifts and flips that it trains on."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lightning_gen.contracts import Images, ImageShape
from lightning_gen.networks.architecture import check_widths
from lightning_gen.noise import uniform_like


class ConvClassifier(nn.Module):
    """3x3 convolutions with batch normalisation, halving between widths; a mean over positions.

    ``widths`` are the channels of each stage; the last is the number of features.
    """

    def __init__(
        self, image_shape: ImageShape, num_classes: int, widths: Sequence[int] = (32, 64, 128, 128)
    ) -> None:
        super().__init__()
        check_widths(self, widths)
        before, *_ = image_shape
        layers: list[nn.Module] = []
        for number, width in enumerate(widths):
            if number > 0:
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
            convolution = nn.Conv2d(before, width, 3, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
            before = width
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(before, num_classes)

    def forward(self, images: Images) -> Float[Tensor, "n k"]:
        """The logits of each class."""
        return self.head(self.features(images))  # type: ignore[no-any-return]


def shifted(images: Images, reach: int) -> Images:
    """Each image moved by up to ``reach`` pixels in either direction; zeros come in."""
    n, _, height, width = images.shape
    padded = F.pad(images, (reach,) * 4)
    places = uniform_like(images.new_empty(n, 2)) * (2 * reach + 1)
    down, right = places.long().T[:, :, None]
    rows = down + torch.arange(height, device=images.device)
    columns = right + torch.arange(width, device=images.device)
    numbers = torch.arange(n, device=images.device)[:, None, None]
    # Indices on both sides of a slice put the channels last.
    return padded[numbers, :, rows[:, :, None], columns[:, None, :]].movedim(3, 1)


def flipped(images: Images) -> Images:
    """Each image mirrored left to right with probability one half."""
    chosen = uniform_like(images[:, :1, :1, :1]) < 0.5
    return torch.where(chosen, images.flip(3), images)
