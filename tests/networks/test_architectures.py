import math
import re

import pytest
import torch
from torch import nn

from lightning_gen import networks
from lightning_gen.networks import (
    Architecture,
    Conv,
    DCGANNetworks,
    Dense,
    Pooled,
    Residual,
    SpatialResidual,
)
from lightning_gen.networks.classifier import ConvClassifier
from support.refusals import assert_refused

ARCHITECTURES = [
    part
    for part in vars(networks).values()
    if isinstance(part, type) and issubclass(part, Architecture) and part is not Architecture
]
NORMALIZATIONS = {
    Dense: (None, nn.BatchNorm1d, nn.LayerNorm),
    Conv: (None, nn.BatchNorm2d, nn.InstanceNorm2d),
    Residual: (None, nn.BatchNorm2d, nn.InstanceNorm2d),
}

# Square and not, odd and even, the smallest and one that the stages do not divide.
SHAPES = [
    ((1, 8, 9), (3, 2, 1)),
    ((3, 21, 34), (4, 5)),
    ((2, 40, 17), (6, 1, 2)),
    ((4, 8, 8), (3,)),
]
each_shape = pytest.mark.parametrize(("image_shape", "widths"), SHAPES)


@each_shape
@pytest.mark.parametrize(
    ("kind", "normalization"),
    [(kind, norm) for kind in ARCHITECTURES for norm in NORMALIZATIONS.get(kind, (None,))],
)
def test_decoder_restores_the_shape(kind, normalization, image_shape, widths):
    if normalization is nn.InstanceNorm2d and min(image_shape[1:]) >> len(widths) < 2:
        pytest.skip("InstanceNorm2d has nothing to normalise over a map of one pixel")
    architecture = kind(widths, normalization=normalization)
    encoder, decoder = architecture.encoder(image_shape, 3), architecture.decoder(image_shape, 3, 2)
    check_shapes(encoder, decoder, image_shape, code_shape=(3,))


@each_shape
@pytest.mark.parametrize("normalization", [None, nn.BatchNorm2d])
def test_a_spatial_decoder_restores_the_shape(normalization, image_shape, widths):
    architecture = SpatialResidual(widths, 1, normalization=normalization)
    size = tuple(side >> len(widths) for side in image_shape[1:])
    assert architecture.map_size(image_shape) == size
    encoder, decoder = architecture.encoder(image_shape, 6), architecture.decoder(image_shape, 6, 2)
    check_shapes(encoder, decoder, image_shape, code_shape=(6, *size))


@each_shape
def test_pooled_restores_the_shape(image_shape, widths):
    pooled = Pooled(widths, image_shape)
    shrink = 2 ** (len(widths) - 1)
    maps = [math.ceil(side / shrink) for side in image_shape[1:]]
    assert pooled.code_shape == (widths[-1], *maps)
    code_shape = (math.prod(pooled.code_shape),)
    check_shapes(pooled.encoder(), pooled.decoder(2), image_shape, code_shape)


def check_shapes(encoder, decoder, image_shape, code_shape):
    """With two parameters a channel; gradients reach all."""
    codes = encoder(torch.rand(3, *image_shape))
    params = decoder(codes)
    params.square().sum().backward()
    channels, height, width = image_shape
    assert codes.shape == (3, *code_shape)
    assert params.shape == (3, 2 * channels, height, width)
    for module in (encoder, decoder):
        assert all(torch.isfinite(p.grad).all() for p in module.parameters())


@pytest.mark.parametrize(
    ("given_widths", "expected"),
    [(None, [4, 5, 6, 48]), ((7, 8, 9), [4, 7, 8, 9, 48]), ((), [4, 48])],
)
def test_the_decoder_of_dense_may_have_its_own_widths(given_widths, expected):
    dense = Dense((6, 5), decoder_widths=given_widths)
    encoder, decoder = dense.encoder((1, 6, 8), 4), dense.decoder((1, 6, 8), 4, 1)
    assert sizes(encoder) == [48, 6, 5, 4]
    assert sizes(decoder) == expected


def sizes(network):
    linear = [layer for layer in network if isinstance(layer, nn.Linear)]
    return [linear[0].in_features, *(layer.out_features for layer in linear)]


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_every_pixel_reaches_the_code(kind):
    images = torch.rand(2, 2, 17, 23, requires_grad=True)
    encoder = kind((8, 8), activation=nn.SiLU).encoder((2, 17, 23), 4)
    encoder(images).square().sum().backward()
    assert (images.grad != 0).all()


@pytest.mark.parametrize("kind", [*ARCHITECTURES, SpatialResidual])
def test_activation_is_used(kind):
    architecture = kind((4, 4), activation=nn.SELU)
    for module in (architecture.encoder((1, 8, 8), 2), architecture.decoder((1, 8, 8), 2, 1)):
        kinds = {type(layer) for layer in module.modules()}
        assert nn.SELU in kinds
        assert nn.ReLU not in kinds


OF_WIDTHS = {
    **{kind: kind for kind in (*ARCHITECTURES, SpatialResidual, DCGANNetworks)},
    Pooled: lambda widths: Pooled(widths, (1, 28, 28)),
    ConvClassifier: lambda widths: ConvClassifier((1, 8, 8), 2, widths),
}


@pytest.mark.parametrize("kind", OF_WIDTHS)
def test_bad_widths(kind):
    for widths in [(0,), (32, -1), *([] if kind is Dense else [()])]:
        message = f"{kind.__name__}.widths lists one positive number a layer, got {[*widths]}"
        assert_refused(re.escape(message), OF_WIDTHS[kind], widths)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Dense((6,), decoder_widths=(0,)), r"Dense\.decoder_widths .* got \[0\]"),
        (lambda: Conv((8,), hidden=(16, -1)), r"Conv\.hidden lists one positive number a layer"),
        (lambda: SpatialResidual(blocks=-1), r"SpatialResidual\.blocks .* at least 0, got -1"),
        (lambda: DCGANNetworks(kernel_size=2), "kernel_size is at least 3, got 2"),
        (lambda: DCGANNetworks(dropout=1.0), "dropout is at least 0 and below 1, got 1.0"),
    ],
)
def test_bad_arguments(build, message):
    assert_refused(message, build)


@pytest.mark.parametrize("image_shape", [(1, 7, 28), (3, 28, 7)])
@pytest.mark.parametrize(
    "build",
    [
        *(lambda shape, k=kind: k((4, 4, 4)).encoder(shape, 2) for kind in (Conv, Residual)),
        *(lambda shape, k=kind: k((4, 4, 4)).decoder(shape, 2, 1) for kind in (Conv, Residual)),
        lambda shape: SpatialResidual((4, 4, 4)).map_size(shape),
        lambda shape: SpatialResidual((4, 4, 4)).encoder(shape, 2),
        lambda shape: Pooled((4, 4, 4, 4), shape),
        lambda shape: DCGANNetworks((4, 4, 4)).generator(shape, 2),
    ],
)
def test_too_small_an_image_names_the_size(build, image_shape):
    needed = f"needs at least 8 pixels a side, got {image_shape[1]}x{image_shape[2]}"
    assert_refused(needed, build, image_shape)


def test_a_feature_keeps_its_place():
    encoder = SpatialResidual((4, 8), blocks=0).encoder((1, 32, 32), 3)
    image = torch.rand(1, 1, 32, 32)
    changed = image.clone()
    changed[..., :4, :4] = 0
    moved = (encoder(changed) - encoder(image)).abs().sum(dim=(0, 1)) > 0
    assert moved[0, 0]
    assert not moved[3:, :].any()
    assert not moved[:, 3:].any()


@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_blocks_are_counted(blocks):
    networks = SpatialResidual((4, 5), blocks)
    for module in (networks.encoder((1, 8, 8), 2), networks.decoder((1, 8, 8), 2, 1)):
        names = [type(layer).__name__ for layer in module]
        assert names.count("ResidualBlock") == blocks


def test_the_network_of_higgins_et_al():
    architecture = Conv((32, 32, 64, 64), hidden=(256,))
    encoder = architecture.encoder((1, 64, 64), 20)
    decoder = architecture.decoder((1, 64, 64), 10, 1)
    assert (sizes(encoder), sizes(decoder)) == ([1024, 256, 20], [10, 256, 1024])
    images = torch.rand(2, 1, 64, 64)
    assert encoder(images).shape == (2, 20)
    assert decoder(torch.randn(2, 10)).shape == images.shape


def test_an_activation_follows_every_hidden_layer():
    encoder = Conv((8,), activation=nn.Tanh, hidden=(6, 5)).encoder((1, 8, 8), 2)
    kinds = [type(layer).__name__ for layer in encoder]
    assert kinds == ["Conv2d", "Tanh", "Flatten", "Linear", "Tanh", "Linear", "Tanh", "Linear"]


def test_the_layers_before_activations_are_drawn_and_the_others_left():
    torch.manual_seed(0)
    drawn = Dense((400, 200), he_initialization=True).decoder((1, 28, 28), 300, 1)
    first, second, last = (layer for layer in drawn if isinstance(layer, nn.Linear))
    for layer in (first, second):
        assert layer.weight.var().item() == pytest.approx(2 / layer.in_features, rel=0.05)
        assert layer.bias.count_nonzero() == 0
    assert last.weight.var().item() == pytest.approx(1 / (3 * last.in_features), rel=0.05)
    assert last.bias.count_nonzero() > 0
