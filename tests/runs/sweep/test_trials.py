"""The trials of a sweep: each once, whatever happens in between."""

import os
import threading

import pytest
from optuna.trial import TrialState

from lightning_gen.errors import UserError
from lightning_gen.runs.sweep import trials as sweep_module
from lightning_gen.runs.sweep.lock import TrialLock
from lightning_gen.runs.sweep.reading import read_sweep
from lightning_gen.runs.sweep.study import Study
from lightning_gen.runs.sweep.trials import Sweep
from support.sweeps import GRID, RANDOM, FakeFit, write_sweep


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Short waits and no files of results, which tests/runs/test_sweep_results.py looks at."""
    monkeypatch.setattr(sweep_module, "SECONDS_BETWEEN_LOOKS", 0.02)
    monkeypatch.setattr(sweep_module, "write_results", lambda *_: None)


@pytest.fixture
def start(tmp_path):
    """Starts the sweep of the file as the command does; what it found."""

    def run(runner, content=GRID, jobs=1, say=print, **options):
        file = read_sweep(write_sweep(tmp_path, content))
        folder = tmp_path / "logs" / "own"
        folder.mkdir(parents=True, exist_ok=True)
        return Sweep(Study(file, "own", folder, **options), folder, runner, say).run(jobs)

    return run


def combinations(trials):
    return [tuple(trial.parameters.values()) for trial in trials]


WHOLE = {(dim, lr) for dim in (2, 4, 8) for lr in (0.1, 0.01)}


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_a_grid_has_each_combination_once(jobs, start):
    fit = FakeFit()
    found = start(fit, jobs=jobs)
    assert len(fit.calls) == 6
    assert set(combinations(fit.calls)) == set(combinations(found)) == WHOLE
    assert [result.value for result in found] == [sum(each) for each in combinations(found)]


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("content", [GRID, RANDOM], ids=["grid", "random"])
def test_an_interrupted_sweep_goes_on(content, jobs, start):
    wanted = 6 if content is GRID else 5
    first, second, third = FakeFit(cut_off=[2]), FakeFit(), FakeFit()
    start(first, content, jobs)
    assert 2 <= len(first.ended) <= 3
    begun = {trial.number: trial.parameters for trial in first.calls}
    found = start(second, content, jobs)
    assert len(first.ended) + len(second.ended) == len(found) == wanted
    ended = [trial.number for trial in (*first.ended, *second.ended)]
    assert sorted(ended) == list(range(wanted))
    for trial in second.calls:
        assert begun.get(trial.number, trial.parameters) == trial.parameters
    assert any(trial.number in begun for trial in second.calls), "what was cut off is run again"
    start(third, content, jobs)
    assert third.calls == []


def test_a_trial_that_is_still_being_trained_is_left_alone(start, tmp_path):
    start(FakeFit(cut_off=[0]))
    lock = TrialLock.take(tmp_path / "logs" / "own" / "trial_0000")
    said, fit = [], FakeFit()

    def say(text):
        said.append(text)
        if text.startswith("waiting"):
            assert 0 not in [trial.number for trial in fit.calls]
            lock.release()

    start(fit, say=say)
    assert [trial.number for trial in fit.calls] == [1, 2, 3, 4, 5, 0]
    assert said.count("waiting for trial 0, which another process trains") == 1


def test_two_sweeps_at_once_share_the_trials(start, tmp_path):
    fits = FakeFit(), FakeFit()
    threads = [threading.Thread(target=start, args=(fit,)) for fit in fits]
    start(FakeFit(cut_off=[0]))  # so that the study stands
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ended = combinations([trial for fit in fits for trial in fit.ended])
    assert sorted(ended) == sorted(WHOLE)


def test_a_grid_that_two_machines_queued_runs_once(tmp_path):
    """Both saw an empty study."""
    file = read_sweep(write_sweep(tmp_path))
    study = Study(file, "own", tmp_path)
    for place, combination in enumerate(study.combinations):
        study.optuna.enqueue_trial(combination, user_attrs={"combination": place})
    assert len(study.optuna.trials) == 12
    found = Sweep(study, tmp_path, FakeFit()).run()
    assert sorted(combinations(found)) == sorted(WHOLE)


def test_trials_of_another_machine_are_left_to_it(start, tmp_path):
    url = f"sqlite:///{tmp_path}/shared.db"
    start(FakeFit(cut_off=[0]), storage=url)
    os.rename(tmp_path / "logs", tmp_path / "logs_of_another_machine")
    fit = FakeFit()
    found = start(fit, storage=url)
    assert [trial.number for trial in fit.calls] == [1, 2, 3, 4, 5]
    assert [result.state for result in found] == ["running"] + 5 * ["complete"]


def test_a_failed_trial_does_not_stop_the_sweep(start):
    said, fit = [], FakeFit(failing=[1])
    found = start(fit, say=said.append)
    assert len(fit.calls) == 6
    assert [result.state for result in found].count("failed") == 1
    assert found[1].value is None
    assert said[1] == "trial 1: latent_dim 2, lr 0.01: failed: ValueError: the loss is no number"
    assert said[0].startswith("trial 0: latent_dim 2, lr 0.1: val/loss 2.1 (")


@pytest.mark.parametrize(("content", "jobs"), [(GRID, 1), (RANDOM, 2)], ids=["grid", "random"])
def test_failed_trials_are_run_once_more_when_asked_for(content, jobs, start):
    first = start(FakeFit(failing=[1, 3]), content, jobs)
    unasked, asked = FakeFit(), FakeFit(failing=[len(first)])
    start(unasked, content)
    assert unasked.calls == []
    found = start(asked, content, retry_failed=True)
    assert len(asked.calls) == 2, "one of them fails again, which is not the time for a third"
    if content is GRID:
        assert combinations(asked.calls) == combinations([first[1], first[3]])
    assert [result.state for result in found].count("complete") == len(first) - 1


def test_a_fault_of_the_metric_ends_the_sweep(start):
    def runner(trial, stop):
        raise UserError("metric: the run logs no val/los.")

    with pytest.raises(UserError, match="no val/los"):
        start(runner)


def test_a_seed_draws_other_values_when_the_sweep_goes_on(start):
    once, again = FakeFit(), FakeFit()
    start(once, RANDOM)
    start(again, RANDOM, trials=10)
    assert len(again.calls) == 5
    rates = [trial.parameters["model.optimizer.lr"] for trial in (*once.calls, *again.calls)]
    assert len(set(rates)) == 10
    assert all(0.001 <= rate <= 0.1 for rate in rates)


def test_a_trial_cut_off_while_it_was_drawn_is_none(start, tmp_path):
    start(FakeFit(), RANDOM)
    study = Study(read_sweep(tmp_path / "own.yaml"), "own", tmp_path / "logs" / "own")
    assert study.optuna.ask().number == 5
    assert study.optuna.trials[5].state == TrialState.RUNNING
    fit = FakeFit()
    assert len(start(fit, RANDOM)) == 5
    assert fit.calls == []


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"parameters": {"model.latent_dim": [2]}}, r"begun with parameters\.model\.latent_dim"),
        ({"metric": "val/kl"}, r"begun with metric \"val/loss\".*now says \"val/kl\""),
        ({"overrides": {"trainer.max_epochs": 2}}, r"overrides\.trainer\.max_epochs null"),
        ({"direction": "maximize"}, "begun with direction"),
    ],
)
def test_a_changed_file_is_another_sweep(changes, match, start):
    start(FakeFit())
    with pytest.raises(UserError, match=rf"{match}.*Pass another --name, or delete"):
        start(FakeFit(), GRID | changes)


@pytest.mark.parametrize("url", ["sweep.db", "sqlite:////no/such/folder/x.db", "nosuch://a/b"])
def test_a_storage_that_cannot_be_opened(url, start):
    with pytest.raises(UserError, match=rf"storage: expected an SQLAlchemy URL.*{url}"):
        start(FakeFit(), storage=url)
