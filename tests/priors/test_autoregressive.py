"""A transformer over the codes of an image."""

import math
import re
from itertools import product

import pytest
import torch
from torch.optim import Adam

from lightning_gen.errors import UserError
from lightning_gen.priors import Autoregressive, autoregressive


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0}, "width is at least 1, got 0"),
        ({"heads": -2}, "heads is at least 1, got -2"),
        ({"dropout": 1.0}, "dropout is below 1, got 1.0"),
        ({"width": 10, "heads": 4}, "got width 10 for 4 heads. Set width to a multiple of 4"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(UserError, match=re.escape(message)):
        Autoregressive(**arguments)


SHAPES = [(3, 1, 3), (2, 2, 2), (1, 3, 3)]
"""(positions, codebooks, size) of spaces small enough to be listed."""


def made(shape, **arguments):
    module = Autoregressive(**arguments)
    module.build(*shape)
    return module


def prior(positions, codebooks, size, **arguments):
    """A prior with weights far from those of the start."""
    module = made((positions, codebooks, size), **{"width": 8, "depth": 2, "heads": 2} | arguments)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return module.eval()


def all_codes(positions, codebooks, size):
    listed = torch.tensor([*product(range(size), repeat=positions * codebooks)])
    return listed.view(-1, positions, codebooks)


@pytest.mark.parametrize("shape", SHAPES)
@torch.no_grad()
def test_the_probabilities_of_all_sequences_add_up_to_one(shape):
    probabilities = prior(*shape).log_prob(all_codes(*shape)).exp()
    assert probabilities.sum().item() == pytest.approx(1, rel=1e-5)
    assert probabilities.max() > 4 * probabilities.min(), "not uniform"


@pytest.mark.parametrize("shape", SHAPES)
@torch.no_grad()
def test_samples_follow_the_probabilities(shape):
    module, n = prior(*shape), 20_000
    positions, codebooks, size = shape
    expected = module.log_prob(all_codes(*shape)).exp()
    drawn = module.sample(n)
    assert drawn.shape == (n, positions, codebooks)
    powers = size ** torch.arange(positions * codebooks - 1, -1, -1)
    found = (drawn.flatten(1) * powers).sum(dim=1).bincount(minlength=len(expected)) / n
    spread = (expected * (1 - expected) / n).sqrt()
    assert ((found - expected).abs() < 5 * spread).all()


@torch.no_grad()
def test_no_place_sees_itself_or_what_follows():
    module = prior(4, 2, 5)
    codes = torch.randint(5, (1, 4, 2))
    before = module.logits(codes)
    for t in range(8):
        changed = codes.clone()
        changed.view(-1)[t] = (changed.view(-1)[t] + 1) % 5
        after = module.logits(changed)
        assert torch.equal(after[:, : t + 1], before[:, : t + 1])
        assert t == 7 or not torch.allclose(after[:, t + 1 :], before[:, t + 1 :])


@pytest.mark.parametrize("shape", [(49, 1, 512), (6, 3, 5)])
@torch.no_grad()
def test_an_untrained_prior_is_uniform(shape):
    positions, codebooks, size = shape
    module = made(shape, width=16, depth=1, heads=2)
    nats = -module.log_prob(torch.randint(size, (4, positions, codebooks)))
    assert nats.tolist() == pytest.approx([positions * codebooks * math.log(size)] * 4)


@pytest.mark.slow
def test_training_finds_the_entropy():
    # The codes of a sequence are all alike, the second codebook's one higher: log 4 nats.
    torch.manual_seed(0)
    module = made((5, 2, 4), width=16, depth=1, heads=2, dropout=0.0)
    optimizer = Adam(module.parameters(), lr=0.01)
    for _ in range(150):
        first = torch.randint(4, (64, 1, 1)).expand(64, 5, 1)
        codes = torch.cat([first, (first + 1) % 4], dim=2)
        loss = -module.log_prob(codes).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() == pytest.approx(math.log(4), abs=0.1)
    drawn = module.sample(50)
    assert (drawn[:, :, 0] == drawn[:, :1, 0]).float().mean() > 0.95
    assert (drawn[:, :, 1] == (drawn[:, :, 0] + 1) % 4).float().mean() > 0.95


def test_dropout_acts_in_training_alone():
    module = prior(3, 1, 4, dropout=0.5)
    codes = torch.randint(4, (2, 3, 1))
    assert torch.equal(module.logits(codes), module.logits(codes))
    module.train()
    assert not torch.equal(module.logits(codes), module.logits(codes))


def test_a_long_sequence_has_the_same_gradients_in_less_memory(monkeypatch):
    module = prior(6, 2, 5)
    codes = torch.randint(5, (5, 6, 2))
    gradients, kept = [], []
    for many in (2**21, 2 * 12 * 8):
        monkeypatch.setattr(autoregressive, "MANY", many)
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor, sizes=sizes: sizes.append(tensor.numel()) or tensor, lambda it: it
        ):
            loss = module.log_prob(codes).sum()
        kept.append(sum(sizes))
        gradients.append(torch.autograd.grad(loss, [*module.parameters()]))
    torch.testing.assert_close(*gradients)
    assert kept[1] < kept[0] / 2
