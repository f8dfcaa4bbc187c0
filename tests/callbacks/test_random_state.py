import random

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint

from lightning_gen.callbacks import RandomState
from lightning_gen.callbacks.random_state import random_state, set_random_state
from lightning_gen.data import MiniFashionMNIST
from support.models import tiny


class Draws(Callback):
    """Draws a number from each generator at every batch."""

    def __init__(self):
        self.numbers = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.numbers.append(draw())


def draw():
    return torch.rand(()).item(), random.random(), random.gauss(0, 1), np.random.normal()


def test_a_state_set_again_gives_the_same_numbers():
    draw()  # leaves a spare Gaussian number in Python's and in numpy's generator
    state = random_state()
    numbers = [draw() for _ in range(3)]
    set_random_state(state)
    assert [draw() for _ in range(3)] == numbers


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_a_resumed_run_draws_the_numbers_it_would_have_drawn(trainer, tmp_path):
    def run(seed, resume=None):
        seed_everything(seed, verbose=False)
        draws, save = Draws(), ModelCheckpoint(tmp_path / str(seed), "{epoch}", save_top_k=-1)
        model, data = tiny(), MiniFashionMNIST(batch_size=20)
        arguments = {"enable_checkpointing": True, "max_epochs": 2, "logger": False}
        trainer(draws, RandomState(), save, **arguments).fit(model, data, ckpt_path=resume)
        return draws.numbers

    numbers = run(seed=0)
    assert len(numbers) == 4
    assert run(seed=1, resume=tmp_path / "0" / "epoch=0.ckpt") == numbers[2:]


def test_the_checkpoint_loads_as_weights_only(trainer, mini, tmp_path):
    run = trainer(RandomState(), enable_checkpointing=True, logger=False)
    run.fit(tiny(), mini)
    run.save_checkpoint(tmp_path / "x.ckpt")
    checkpoint = torch.load(tmp_path / "x.ckpt", weights_only=True)
    [state] = checkpoint["callbacks"]["RandomState"]["ranks"]
    expected = draw()
    set_random_state(state)
    assert draw() == expected


def test_a_rank_without_a_state_starts_from_the_seed(trainer):
    """Whatever was drawn before, as the weights were."""
    drawn = []
    for before in (0, 10):
        callback, run, model = RandomState(), trainer(), tiny()
        callback.load_state_dict({"ranks": []})
        torch.manual_seed(3)
        torch.randn(before)
        callback.on_train_start(run, model)
        drawn.append(torch.randn(5).tolist())
    assert drawn[0] == drawn[1]
    torch.manual_seed(3)
    assert drawn[0] != torch.randn(5).tolist()


def test_a_run_on_the_cpu_leaves_the_gpus_of_its_machine_alone(monkeypatch):
    def used(*_):
        raise RuntimeError("CUDA out of memory")

    state = random_state() | {"cuda": torch.zeros(16, dtype=torch.uint8)}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_rng_state", used)
    monkeypatch.setattr(torch.cuda, "set_rng_state", used)
    assert "cuda" not in random_state()
    set_random_state(state)
