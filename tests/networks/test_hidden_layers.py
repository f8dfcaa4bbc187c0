"""Fully connected layers between the maps and the code of a convolutional architecture."""

import pytest
import torch
from torch import nn

from lightning_gen.errors import UserError
from lightning_gen.networks import Conv


def test_the_network_of_higgins_et_al():
    architecture = Conv((32, 32, 64, 64), hidden=(256,))
    encoder = architecture.encoder((1, 64, 64), 20)
    decoder = architecture.decoder((1, 64, 64), 10, 1)
    linear = [
        (layer.in_features, layer.out_features)
        for layer in (*encoder.modules(), *decoder.modules())
        if isinstance(layer, nn.Linear)
    ]
    assert linear == [(1024, 256), (256, 20), (10, 256), (256, 1024)]
    images = torch.rand(2, 1, 64, 64)
    assert encoder(images).shape == (2, 20)
    assert decoder(torch.randn(2, 10)).shape == images.shape


def test_an_activation_follows_every_hidden_layer():
    encoder = Conv((8,), activation=nn.Tanh, hidden=(6, 5)).encoder((1, 8, 8), 2)
    kinds = [type(layer).__name__ for layer in encoder]
    assert kinds == ["Conv2d", "Tanh", "Flatten", "Linear", "Tanh", "Linear", "Tanh", "Linear"]


def test_without_them_the_weights_have_the_names_they_had():
    assert set(Conv((8,)).decoder((1, 8, 8), 2, 1).state_dict()) == {
        *("0.weight", "0.bias"),
        *("3.weight", "3.bias"),
    }


@pytest.mark.parametrize("hidden", [(0,), (16, -1)])
def test_widths_that_are_none_are_refused(hidden):
    with pytest.raises(UserError, match=r"Conv\.hidden lists one positive number a layer"):
        Conv((8,), hidden=hidden)
