"""Optuna's study of a sweep: what is left to do, and who does it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from lightning_gen.runs.sweep.space import Plain
from lightning_gen.runs.sweep.storage import check_identity, open_study
from lightning_gen.runs.sweep.sweep_file import SweepFile

COMBINATION = "combination"
"""The attribute of a trial with the number of its combination in the grid."""


class Study:
    """The trials of a sweep, shared by all processes and machines that work on it.

    Args:
        sweep: the sweep file.
        name: of the sweep.
        folder: of the sweep.
        storage: an SQLAlchemy URL; None for a file of the sweep's folder.
        trials: how many are wanted; for a grid, nothing.
        retry_failed: trials that failed before are not counted.

    Raises:
        UserError: the storage cannot be used, or holds a sweep of this name that differs.
    """

    def __init__(
        self,
        sweep: SweepFile,
        name: str,
        folder: Path,
        *,
        storage: str | None = None,
        trials: int | None = None,
        retry_failed: bool = False,
    ) -> None:
        self.sweep = sweep
        self.own = storage is None
        url = storage or f"sqlite:///{folder / 'sweep.db'}"
        self.optuna = open_study(url, name, sweep)
        check_identity(self.optuna, sweep, name, url)
        self.combinations = sweep.combinations if sweep.sampler is None else []
        failed = self._failed() if retry_failed else []
        self._enqueue({trial.number for trial in failed})
        self.wanted = len(self.combinations) or (trials or sweep.trials or 0) + len(failed)
        self.forgiven = len(failed)

    def trials(self) -> list[FrozenTrial]:
        """The trials that count: none that was cut off while its values were being drawn."""
        kept = (TrialState.COMPLETE, TrialState.FAIL, TrialState.RUNNING)
        found = self.optuna.get_trials(deepcopy=False, states=kept)
        return [trial for trial in found if self.parameters(trial) is not None]

    def parameters(self, trial: FrozenTrial) -> dict[str, Plain] | None:
        """The values of a trial; None where they were not all drawn."""
        if self.sweep.sampler is None:
            place = trial.user_attrs.get(COMBINATION)
            return None if place is None else self.combinations[place]
        whole = set(trial.params) == set(self.sweep.parameters)
        return {key: trial.params[key] for key in self.sweep.parameters} if whole else None

    def ask(self) -> FrozenTrial | None:
        """A new trial; None where all were given out."""
        while self._any_left():
            if self.sweep.sampler is not None:
                drawn = len(self.optuna.get_trials(deepcopy=False)) if self.own else None
                self.optuna.sampler = self.sweep.sampler.build(drawn)
            spaces = {key: p.distribution for key, p in self.sweep.parameters.items()}
            number = self.optuna.ask(spaces).number
            trial = self.optuna.get_trials(deepcopy=False)[number]
            if not self._given_out_before(trial):
                return trial
            self.optuna.tell(number, state=TrialState.PRUNED)
        return None

    def _any_left(self) -> bool:
        if self.combinations:
            return bool(self.optuna.get_trials(deepcopy=False, states=(TrialState.WAITING,)))
        return len(self.trials()) < self.wanted

    def _given_out_before(self, trial: FrozenTrial) -> bool:
        """Two machines that start at once may both put the grid into the queue."""
        if not self.combinations:
            return False
        place = trial.user_attrs.get(COMBINATION)
        earlier = self.trials()[: trial.number]
        taken = {
            other.user_attrs[COMBINATION]
            for other in earlier
            if other.number < trial.number and other.state != TrialState.FAIL
        }
        return place is None or place in taken

    def _failed(self) -> list[FrozenTrial]:
        return [trial for trial in self.trials() if trial.state == TrialState.FAIL]

    def _enqueue(self, failed: set[int]) -> None:
        """Put the combinations of a grid that nobody has had into the queue."""
        trials = self.optuna.get_trials(deepcopy=False)
        known = {t.user_attrs.get(COMBINATION) for t in trials if t.number not in failed}
        for place, combination in enumerate(self.combinations):
            if place not in known:
                self.optuna.enqueue_trial(combination, user_attrs={COMBINATION: place})

    def note(self, trial: FrozenTrial, values: Mapping[str, Any]) -> None:
        """Keep something beside a running trial."""
        handle = optuna.trial.Trial(self.optuna, trial._trial_id)  # Optuna offers no other way
        for key, value in values.items():
            handle.set_user_attr(key, value)

    def tell(self, trial: FrozenTrial, value: float | None) -> None:
        """End a trial; without a value it failed."""
        state = TrialState.FAIL if value is None else TrialState.COMPLETE
        self.optuna.tell(trial.number, value, state)
