"""How processes agree to save and to leave, and what goes on; test_survival.py has the rest."""

import random
import signal

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer

from lightning_gen.callbacks import RandomState
from lightning_gen.callbacks.going_on import random_state, set_random_state
from lightning_gen.callbacks.interruption import SAVE, Agreement
from support.models import tiny
from support.processes import on_two_processes

CALLS = 400


def wishes_of(rank, told):
    """The steps at which the processes agreed on something, and on what."""
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    agreement = Agreement()
    found = {}
    for step in range(CALLS):
        wish = max((number for at, number in told.get(rank, ()) if at <= step), default=0)
        agreed = agreement.on(wish, trainer)
        if agreed:
            found[step] = agreed
            if agreed > SAVE:
                break
    return found


@pytest.mark.parametrize("rank", [0, 1])
def test_all_processes_leave_at_one_step_when_one_is_told(rank, tmp_path):
    first, second = on_two_processes(wishes_of, tmp_path, {rank: [(7, int(signal.SIGTERM))]})
    assert first == second
    ((step, agreed),) = first.items()
    assert agreed == signal.SIGTERM
    assert 7 <= step <= 7 + 100


def test_a_signal_outweighs_the_wish_to_save(tmp_path):
    told = {0: [(0, SAVE)], 1: [(3, int(signal.SIGUSR1))]}
    first, second = on_two_processes(wishes_of, tmp_path, told)
    assert first == second
    assert list(first.values())[-1] == signal.SIGUSR1
    assert set(list(first.values())[:-1]) == {SAVE}


def test_one_process_asks_nobody():
    agreement, trainer = Agreement(), Trainer(accelerator="cpu", logger=False)
    assert [agreement.on(wish, trainer) for wish in (0, 15, 0)] == [0, 15, 0]


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
