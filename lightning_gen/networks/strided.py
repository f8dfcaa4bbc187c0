"""The skeleton of the strided architectures: halve by a convolution, finish the stage, repeat."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import nn

from lightning_gen.contracts import ImageShape
from lightning_gen.errors import UserError

Size = tuple[int, int]
Finish = Callable[[int], Sequence[nn.Module]]
"""Layers that complete a stage of so many channels."""


def strided_encoder(
    image_shape: ImageShape, widths: Sequence[int], finish: Finish, out_features: int
) -> nn.Sequential:
    """:func:`halvings`, flatten, one linear layer."""
    height, width = halved_sizes(image_shape, len(widths))[-1]
    layers = halvings(image_shape[0], widths, finish)
    flat = widths[-1] * height * width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(flat, out_features))


def strided_decoder(
    in_features: int,
    widths: Sequence[int],
    start: Sequence[nn.Module],
    finish: Finish,
    out_shape: ImageShape,
) -> nn.Sequential:
    """The mirror of :func:`strided_encoder`.

    Args:
        in_features: length of a code.
        widths: the encoder's widths, in its order.
        start: layers between the linear layer and the first transposed convolution.
        finish: completes each stage but the last, which gives the raw parameters.
        out_shape: (parameters per channel x channels, height, width).
    """
    height, width = halved_sizes(out_shape, len(widths))[-1]
    return nn.Sequential(
        nn.Linear(in_features, widths[-1] * height * width),
        nn.Unflatten(1, (widths[-1], height, width)),
        *start,
        *doublings(widths, finish, out_shape),
    )


def halvings(channels: int, widths: Sequence[int], finish: Finish) -> list[nn.Module]:
    """A 4x4 convolution of stride 2 and ``finish`` for each width; a side is rounded down."""
    layers: list[nn.Module] = []
    for before, after in pairwise((channels, *widths)):
        layers += [nn.Conv2d(before, after, 4, 2, padding=1), *finish(after)]
    return layers


def doublings(widths: Sequence[int], finish: Finish, out_shape: ImageShape) -> list[nn.Module]:
    """Transposed convolutions that undo :func:`halvings`; the arguments of the decoder above."""
    out_channels, *_ = out_shape
    sizes = halved_sizes(out_shape, len(widths))[::-1]
    channels = [*widths[::-1], out_channels]
    layers: list[nn.Module] = []
    for (before, after), (small, large) in zip(pairwise(channels), pairwise(sizes), strict=True):
        odd = (large[0] - 2 * small[0], large[1] - 2 * small[1])
        layers.append(nn.ConvTranspose2d(before, after, 4, 2, padding=1, output_padding=odd))
        if large != sizes[-1]:
            layers.extend(finish(after))
    return layers


def halved_sizes(image_shape: ImageShape, times: int) -> list[Size]:
    """(height, width) before and after each of ``times`` halvings that round down.

    Raises:
        UserError: the image is too small to be halved so often.
    """
    _, height, width = image_shape
    if min(height, width) < 2**times:
        raise UserError(
            f"architecture.widths lists {times} halvings, so the image needs at least {2**times} "
            f"pixels a side, got {height}x{width}. Pass fewer widths or set data.image_size."
        )
    return [(height >> i, width >> i) for i in range(times + 1)]
