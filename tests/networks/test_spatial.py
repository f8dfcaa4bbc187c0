import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lightning_gen.errors import UserError
from lightning_gen.networks import SpatialResidual


@given(
    image_shape=st.tuples(st.integers(1, 3), st.integers(8, 33), st.integers(8, 33)),
    widths=st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple),
    blocks=st.integers(0, 2),
    normalization=st.sampled_from([None, nn.BatchNorm2d]),
    params_per_channel=st.integers(1, 2),
)
def test_decoder_restores_the_shape(image_shape, widths, blocks, normalization, params_per_channel):
    networks = SpatialResidual(widths, blocks, normalization=normalization)
    encoder = networks.encoder(image_shape, 6)
    decoder = networks.decoder(image_shape, 6, params_per_channel)
    channels, height, width = image_shape
    features = encoder(torch.rand(3, *image_shape))
    params = decoder(features)
    params.square().sum().backward()
    shrink = 2 ** len(widths)
    assert networks.map_size(image_shape) == (height // shrink, width // shrink)
    assert features.shape == (3, 6, height // shrink, width // shrink)
    assert params.shape == (3, params_per_channel * channels, height, width)
    for module in (encoder, decoder):
        assert all(torch.isfinite(p.grad).all() for p in module.parameters())


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
    networks = SpatialResidual((4, 5), blocks, nn.SELU)
    for module in (networks.encoder((1, 8, 8), 2), networks.decoder((1, 8, 8), 2, 1)):
        names = [type(layer).__name__ for layer in module]
        assert names.count("ResidualBlock") == blocks
        assert not any(isinstance(layer, nn.ReLU) for layer in module.modules())


def test_too_small_an_image_names_the_size():
    networks = SpatialResidual((4, 4, 4))
    for build in (networks.map_size, lambda s: networks.encoder(s, 2)):
        with pytest.raises(UserError, match="needs at least 8 pixels a side, got 7x28"):
            build((1, 7, 28))


@pytest.mark.parametrize("widths", [(), (0,), (4, -1)])
def test_bad_widths(widths):
    message = rf"SpatialResidual\.widths .* got {re.escape(str([*widths]))}"
    with pytest.raises(UserError, match=message):
        SpatialResidual(widths)


def test_bad_blocks():
    with pytest.raises(UserError, match=r"SpatialResidual\.blocks .* at least 0, got -1"):
        SpatialResidual(blocks=-1)
