"""The trials of a sweep: each once, whatever happens in between."""

import random
import threading
import time

import optuna
import pytest
from optuna.trial import TrialState

from lightning_gen.errors import UserError
from lightning_gen.runs.sweep import workers
from lightning_gen.runs.sweep.workers import Sweep
from support.processes import IMPORTED
from support.refusals import assert_refused
from support.sweeps import (
    GRID,
    RANDOM,
    FakeFit,
    found_in,
    number_of,
    open_study,
    sixty_trials,
    write_sweep,
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """No files of results, which test_results.py looks at."""
    monkeypatch.setattr(workers, "write_results", lambda *_: None)


@pytest.fixture
def study(tmp_path):
    """Opens the study of the sweep, as the command does."""
    return lambda content=GRID, **options: open_study(
        tmp_path, content, tmp_path / "logs" / "own", **options
    )


@pytest.fixture
def start(study):
    """Runs the sweep; what it found."""

    def run(runner, content=GRID, jobs=1, say=print, *, retry_failed=False, **options):
        sweep = Sweep(study(content, **options), runner, say)
        sweep.run(jobs, retry_failed=retry_failed)
        return found_in(sweep.study)

    return run


def combinations(trials):
    return [tuple(trial.parameters.values()) for trial in trials]


WHOLE = {(dim, lr) for dim in (2, 4, 8) for lr in (0.1, 0.01)}


@pytest.mark.parametrize("jobs", [1, 4])
def test_a_grid_has_each_combination_once(jobs, start):
    fit = FakeFit()
    found = start(fit, jobs=jobs)
    assert len(fit.calls) == 6
    assert set(combinations(fit.calls)) == set(combinations(found)) == WHOLE
    assert [result.value for result in found] == [sum(each) for each in combinations(found)]
    assert [result.number for result in found] == list(range(6))


@pytest.mark.parametrize(("content", "jobs"), [(GRID, 1), (RANDOM, 2)], ids=["grid", "random"])
def test_an_interrupted_sweep_goes_on(content, jobs, start):
    wanted = 6 if content is GRID else 5
    first, second, third = FakeFit(cut_off=[2]), FakeFit(), FakeFit()
    start(first, content, jobs)
    assert 2 <= len(first.ended) <= 3
    begun = {number_of(trial): trial for trial in first.calls}
    found = start(second, content, jobs)
    assert [result.state for result in found] == wanted * ["complete"]
    ended = [number_of(trial) for trial in (*first.ended, *second.ended)]
    assert sorted(ended) == list(range(wanted))
    for trial in second.calls:
        before = begun.get(number_of(trial))
        assert trial.goes_on == (before is not None)
        if before is not None:
            assert (trial.folder, trial.parameters) == (before.folder, before.parameters)
    assert any(trial.goes_on for trial in second.calls), "what was cut off is run again"
    start(third, content, jobs)
    assert third.calls == []


@pytest.mark.parametrize("seen", [True, False])
def test_a_trial_of_another_process_is_left_to_it(seen, start, study):
    """Which holds its lock, or whose folder is not seen."""
    other, fit = study(), FakeFit()
    with other.claimed() as trial:
        trial.set_user_attr("name", "x")
        if not seen:
            other.folder.joinpath(".trial_0000.lock").unlink()
        found = start(fit)
    assert [number_of(trial) for trial in fit.calls] == [1, 2, 3, 4, 5]
    assert [result.state for result in found] == ["running"] + 5 * ["complete"]


@pytest.mark.parametrize("begun", [True, False])
def test_a_trial_whose_process_was_killed_is_run_again(begun, start, study):
    dead = study()
    with dead.claimed() as trial:  # the system takes the lock back
        if begun:
            trial.set_user_attr("name", "x")
    fit = FakeFit()
    found = start(fit)
    assert [number_of(trial) for trial in fit.calls] == [0, 1, 2, 3, 4, 5]
    assert fit.calls[0].goes_on == begun
    assert [result.state for result in found] == 6 * ["complete"]
    assert not list(dead.folder.glob(".*")), "a lock is left"


def at_once(function, things):
    """Call a function with each of some things, in as many threads."""
    threads = [threading.Thread(target=function, args=(thing,)) for thing in things]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_trial_is_given_to_one_of_many(study):
    """Of 6 machines that ask at once, each gets a trial of its own, though all see the same."""
    studies = [study(RANDOM, trials=6) for _ in range(6)]
    for number, each in enumerate(studies):
        each.folder = each.folder / str(number)  # its locks are seen by no other
        each.folder.mkdir()
    together, taken = threading.Barrier(6), []

    def ask(one):
        known = one.trials()
        together.wait()
        with pytest.MonkeyPatch.context() as patch:
            real = one.trials
            seen = iter([known])
            patch.setattr(one, "trials", lambda: next(seen, None) or real())
            with one.claimed() as trial:
                taken.append(trial.user_attrs["number"])

    at_once(ask, studies)
    assert sorted(taken) == list(range(6))


def test_a_trial_that_others_took_for_dead_is_theirs(start, study):
    said, fit = [], FakeFit()

    def runner(trial, stop):
        if not fit.calls:
            study().optuna.tell(0, 7.0)
        return fit(trial, stop)

    found = start(runner, say=said.append)
    assert said[0] == "trial 0 was taken over by another process"
    assert [result.state for result in found] == 6 * ["complete"]
    assert found[0].value == 7, "what the other has found stays"
    assert [number_of(trial) for trial in fit.calls] == [0, 1, 2, 3, 4, 5]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_storage_that_is_lost_is_one_line(start, study, tmp_path):
    def runner(trial, stop):
        (tmp_path / "logs" / "own" / "sweep.db").write_text("no database any more")

    assert_refused(r"\Athe storage sqlite.* was lost: .*not a database", start, runner)


@pytest.mark.slow
def test_sweeps_that_are_killed_neither_lose_nor_double_a_trial(tmp_path, study):
    """Two at a time on one database, killed at random times."""
    write_sweep(tmp_path, RANDOM)

    def begin():
        here, there = IMPORTED.Pipe(duplex=False)
        sweep = IMPORTED.Process(target=sixty_trials, args=(tmp_path, there))
        sweep.start()
        return sweep, here

    for seed in range(3):
        sweeps = [begin(), begin()]
        for _, here in sweeps:
            assert here.recv() == "ready"
        time.sleep(random.Random(seed).uniform(0.1, 1.5))
        for sweep, _ in sweeps:
            sweep.kill()
            sweep.join()
    last, _ = begin()
    last.join()
    assert last.exitcode == 0
    assert not (tmp_path / "doubled").exists()
    url = f"sqlite:///{tmp_path}/own/sweep.db"
    found = found_in(study(RANDOM, storage=url, trials=60))
    assert [result.number for result in found] == list(range(60))
    assert {result.state for result in found} == {"complete"}
    trials = optuna.load_study(study_name="own", storage=url).get_trials()
    numbers = [t.user_attrs["number"] for t in trials if t.state == TrialState.COMPLETE]
    assert sorted(numbers) == list(range(60)), "a trial was completed twice"


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
    unasked, asked, cut_off = FakeFit(), FakeFit(failing=[3]), FakeFit(cut_off=[0])
    start(unasked, content)
    assert unasked.calls == []
    start(cut_off, content, retry_failed=True)
    assert not cut_off.calls[0].goes_on, "its run failed, and a new one is begun"
    found = start(asked, content, retry_failed=True)
    assert {number_of(trial) for trial in asked.calls} == {1, 3}
    assert len(asked.calls) == 2, "one of them fails again, which is not the time for a third"
    assert {trial.goes_on for trial in asked.calls} == {True, False}
    assert combinations(found) == combinations(first)
    assert [result.state for result in found].count("complete") == len(first) - 1


def test_a_fault_of_the_metric_ends_the_sweep(start):
    def runner(trial, stop):
        raise UserError("metric: the run logs no val/los.")

    assert_refused("no val/los", start, runner)


def test_values_depend_on_the_seed_and_the_trial_alone(start, study, tmp_path):
    """Whoever draws them: this sweep, one that goes on, one of several jobs or machines."""
    once, again = FakeFit(), FakeFit()
    start(once, RANDOM)
    start(again, RANDOM, trials=7, jobs=3)
    assert len(again.calls) == 2
    drawn = {number_of(trial): combinations([trial])[0] for trial in (*once.calls, *again.calls)}
    assert len({rate for _, rate in drawn.values()}) == 7
    whole = start(FakeFit(), RANDOM, trials=7, jobs=2, storage=f"sqlite:///{tmp_path}/other.db")
    assert combinations(whole) == [drawn[number] for number in range(7)]


def test_fewer_trials_than_before(start):
    start(FakeFit(cut_off=[1]), RANDOM)
    fit = FakeFit()
    assert len(start(fit, RANDOM, trials=2)) == 2
    assert [number_of(trial) for trial in fit.calls] == [1]
    start(fit, RANDOM)
    assert [number_of(trial) for trial in fit.calls] == [1, 2, 3, 4]


def test_a_sampler_that_learns(start, study):
    """Random at first, then guided: it sees the trials before."""
    sampler = {"class_path": "TPESampler", "init_args": {"seed": 0, "n_startup_trials": 2}}
    found = start(FakeFit(), RANDOM | {"sampler": sampler}, trials=6)
    assert [result.state for result in found] == 6 * ["complete"]
    assert len({result.parameters["model.optimizer.lr"] for result in found}) == 6


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"parameters": {"model.latent_dim": [2]}}, r"begun with parameters .*now says .*\[2\]"),
        ({"metric": "val/kl"}, r"begun with metric \"val/loss\".*now says \"val/kl\""),
        ({"overrides": {"trainer.max_epochs": 2}}, r"overrides \{\}.*max_epochs"),
        ({"direction": "maximize"}, "begun with direction"),
    ],
)
def test_a_changed_file_is_another_sweep(changes, match, study):
    study()
    assert_refused(rf"{match}.*Pass another --name, or delete", study, GRID | changes)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sweep.db", "sweep.db"),
        ("sqlite:////no/such/folder/x.db", "sqlite:////no/such/folder/x.db"),
        ("nosuch://a/b", "nosuch://a/b"),
        ("postgresql://a:secret@no.invalid/b", r"postgresql://a:\*\*\*@no\.invalid/b"),
    ],
)
def test_a_storage_that_cannot_be_opened(url, shown, study, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    assert_refused(rf"\Astorage: .*{shown} cannot[^\n]*\Z", study, storage=url)
