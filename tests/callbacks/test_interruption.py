"""How several processes agree to save and to leave; tests/cli/test_survival.py has the rest."""

import signal

import pytest
from lightning.pytorch import Trainer

from lightning_gen.callbacks.interruption import SAVE, Agreement
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
