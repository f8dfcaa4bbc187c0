"""He initialization keeps the scale of what goes through the layers."""

import pytest
import torch
from torch import nn

from lightning_gen.networks import Dense

DEEP = (512,) * 8


def last_scale(**arguments):
    """Root mean square of what the last hidden layer gives for noise of unit scale."""
    torch.manual_seed(0)
    network = Dense(DEEP, **arguments).encoder((1, 28, 28), 4)
    return network[:-1](torch.randn(256, 1, 28, 28)).square().mean().sqrt().item()


def test_the_scale_is_kept_where_torch_s_own_draw_loses_it():
    assert last_scale(he_initialization=True) == pytest.approx(1, rel=0.25)
    assert last_scale() < 0.1


def test_the_layers_before_activations_are_drawn_and_the_others_left():
    torch.manual_seed(0)
    drawn = Dense((400, 200), he_initialization=True).decoder((1, 28, 28), 300, 1)
    first, second, last = (layer for layer in drawn if isinstance(layer, nn.Linear))
    for layer in (first, second):
        assert layer.weight.var().item() == pytest.approx(2 / layer.in_features, rel=0.05)
        assert layer.bias.count_nonzero() == 0
    assert last.weight.var().item() == pytest.approx(1 / (3 * last.in_features), rel=0.05)
    assert last.bias.count_nonzero() > 0
