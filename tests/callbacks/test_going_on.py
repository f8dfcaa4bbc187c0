import random

import numpy as np
import torch

from lightning_gen.callbacks import RandomState
from lightning_gen.callbacks.going_on import random_state, set_random_state
from support.models import tiny


def draw():
    return torch.rand(()).item(), random.random(), random.gauss(0, 1), np.random.normal()


def test_a_state_set_again_gives_the_same_numbers():
    draw()  # leaves a spare Gaussian number in Python's and in numpy's generator
    state = random_state()
    numbers = [draw() for _ in range(3)]
    set_random_state(state)
    assert [draw() for _ in range(3)] == numbers


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
