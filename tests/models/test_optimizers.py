"""Fused updates: the same numbers, where nothing else was asked for."""

from functools import partial

import pytest
import torch
from lightning.pytorch import Trainer
from torch.optim import SGD, Adam, AdamW, RMSprop

from lightning_gen.data import MiniFashionMNIST
from lightning_gen.models import VAE
from lightning_gen.models.optimizers import Shared
from lightning_gen.networks import Dense
from support.models import QUIET


def built(kind, **arguments):
    return Shared(partial(kind, lr=0.1, **arguments))([torch.nn.Parameter(torch.ones(3))])


@pytest.mark.parametrize("kind", [Adam, AdamW, SGD])
def test_an_optimizer_that_can_is_fused(kind):
    optimizer = built(kind)
    assert [group["fused"] for group in optimizer.param_groups] == [True]
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(1))]})
    assert optimizer.param_groups[1]["fused"]


@pytest.mark.parametrize("choice", [{"fused": False}, {"foreach": True}, {"differentiable": True}])
def test_what_was_chosen_stays(choice):
    optimizer = built(Adam, **choice)
    assert not optimizer.param_groups[0]["fused"]


def test_an_optimizer_without_a_fused_update_is_left_alone():
    assert "fused" not in built(RMSprop).param_groups[0]


@pytest.mark.parametrize("kind", [Adam, partial(SGD, momentum=0.9)])
def test_twenty_steps_end_where_those_of_the_plain_loop_do(kind):
    def train(**choice):
        torch.manual_seed(0)
        optimizer = partial(kind, lr=1e-5, **choice)
        model = VAE((1, 28, 28), 4, architecture=Dense((16,)), optimizer=optimizer)
        trainer = Trainer(max_steps=20, limit_val_batches=0, **QUIET)
        trainer.fit(model, MiniFashionMNIST(20))
        return model.state_dict()

    fused, plain = train(), train(fused=False, foreach=False)
    for name in plain:
        torch.testing.assert_close(fused[name], plain[name])
