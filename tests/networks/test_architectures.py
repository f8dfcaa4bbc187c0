"""What every architecture promises, over many image shapes."""

import dataclasses
import math
import re

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from lightning_gen import networks
from lightning_gen.errors import UserError
from lightning_gen.networks import Architecture, Conv, Dense, Pooled, Residual

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

image_shapes = st.tuples(st.integers(1, 4), st.integers(8, 40), st.integers(8, 40))
some_widths = st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple)


def gradients_reach_all(*modules):
    return all(
        p.grad is not None and torch.isfinite(p.grad).all() for m in modules for p in m.parameters()
    )


def test_all_architectures_are_found():
    assert {Dense, Conv, Residual} <= set(ARCHITECTURES)


@pytest.mark.parametrize("kind", ARCHITECTURES)
@given(
    image_shape=image_shapes,
    widths=some_widths,
    latent_dim=st.integers(1, 5),
    params_per_channel=st.integers(1, 2),
    data=st.data(),
)
def test_decoder_restores_the_shape(
    kind, image_shape, widths, latent_dim, params_per_channel, data
):
    normalization = data.draw(st.sampled_from(NORMALIZATIONS.get(kind, (None,))))
    # InstanceNorm2d has nothing to normalise over a map of one pixel.
    tiny = min(image_shape[1:]) >> len(widths) < 2
    assume(not (tiny and normalization is nn.InstanceNorm2d))
    architecture = kind(widths, normalization=normalization)
    encoder = architecture.encoder(image_shape, latent_dim)
    decoder = architecture.decoder(image_shape, latent_dim, params_per_channel)

    images = torch.rand(3, *image_shape)
    codes = encoder(images)
    params = decoder(codes)
    params.square().sum().backward()

    channels, height, width = image_shape
    assert codes.shape == (3, latent_dim)
    assert params.shape == (3, params_per_channel * channels, height, width)
    assert gradients_reach_all(encoder, decoder)


def test_dense_without_widths_is_linear():
    architecture = Dense(())
    encoder, decoder = architecture.encoder((2, 3, 4), 5), architecture.decoder((2, 3, 4), 5, 2)
    images = torch.rand(3, 2, 3, 4)
    assert decoder(encoder(images)).shape == (3, 4, 3, 4)
    for module, x, y in (
        (encoder, images, 2 * images),
        (decoder, torch.ones(1, 5), 3 * torch.ones(1, 5)),
    ):
        middle = (module(x) + module(y)) / 2
        torch.testing.assert_close(module((x + y) / 2), middle)


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
    """Inputs of the first linear layer, outputs of all."""
    linear = [layer for layer in network if isinstance(layer, nn.Linear)]
    return [linear[0].in_features, *(layer.out_features for layer in linear)]


def test_bad_widths_of_the_decoder():
    with pytest.raises(UserError, match=r"Dense\.decoder_widths .* got \[0\]"):
        Dense((6,), decoder_widths=(0,))


@given(
    image_shape=image_shapes,
    widths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    params_per_channel=st.integers(1, 2),
)
def test_pooled_restores_the_shape(image_shape, widths, params_per_channel):
    pooled = Pooled(widths, image_shape)
    encoder, decoder = pooled.encoder(), pooled.decoder(params_per_channel)

    codes = encoder(torch.rand(3, *image_shape))
    params = decoder(codes)
    params.square().sum().backward()

    channels, height, width = image_shape
    shrink = 2 ** (len(widths) - 1)
    assert pooled.code_shape == (widths[-1], math.ceil(height / shrink), math.ceil(width / shrink))
    assert codes.shape == (3, math.prod(pooled.code_shape))
    assert params.shape == (3, params_per_channel * channels, height, width)
    assert gradients_reach_all(encoder, decoder)


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_every_pixel_reaches_the_code(kind):
    images = torch.rand(2, 2, 17, 23, requires_grad=True)
    encoder = kind((8, 8), activation=nn.SiLU).encoder((2, 17, 23), 4)
    encoder(images).square().sum().backward()
    assert (images.grad != 0).all()


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_activation_is_used(kind):
    architecture = kind((4, 4), activation=nn.SELU)
    for module in (architecture.encoder((1, 8, 8), 2), architecture.decoder((1, 8, 8), 2, 1)):
        kinds = {type(layer) for layer in module.modules()}
        assert nn.SELU in kinds
        assert nn.ReLU not in kinds


@pytest.mark.parametrize(
    ("kind", "widths"),
    [(kind, widths) for kind in ARCHITECTURES for widths in [(0,), (32, 0), (32, -1)]]
    + [(kind, ()) for kind in ARCHITECTURES if kind is not Dense],
)
def test_bad_widths(kind, widths):
    with pytest.raises(
        UserError, match=rf"{kind.__name__}\.widths .* got {re.escape(str([*widths]))}"
    ):
        kind(widths)


@pytest.mark.parametrize("widths", [(), (0,), (32, 0)])
def test_bad_widths_of_pooled(widths):
    with pytest.raises(UserError, match=r"widths lists one positive number"):
        Pooled(widths, (1, 28, 28))


@pytest.mark.parametrize("kind", [Conv, Residual])
@pytest.mark.parametrize("image_shape", [(1, 7, 28), (3, 28, 7), (1, 1, 1)])
def test_too_small_an_image_names_the_size(kind, image_shape):
    needed = f"needs at least 8 pixels a side, got {image_shape[1]}x{image_shape[2]}"
    architecture = kind((4, 4, 4))
    with pytest.raises(UserError, match=needed):
        architecture.encoder(image_shape, 2)
    with pytest.raises(UserError, match=needed):
        architecture.decoder(image_shape, 2, 1)


def test_the_smallest_image_works():
    for kind in (Conv, Residual):
        architecture = kind((4, 4, 4))
        codes = architecture.encoder((1, 8, 9), 2)(torch.rand(2, 1, 8, 9))
        assert architecture.decoder((1, 8, 9), 2, 1)(codes).shape == (2, 1, 8, 9)


def test_too_small_an_image_for_pooled_names_the_size():
    with pytest.raises(UserError, match="needs at least 8 pixels a side, got 7x28"):
        Pooled((4, 4, 4, 4), (1, 7, 28))
    assert Pooled((4, 4, 4, 4), (1, 8, 8)).code_shape == (4, 1, 1)


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_an_architecture_is_frozen(kind):
    architecture = kind((4,))
    with pytest.raises(dataclasses.FrozenInstanceError):
        architecture.widths = (5,)
    assert architecture == kind((4,))
