"""Finished runs that were never trained."""

from pathlib import Path

from lightning_gen.runs.finished import FinishedRun


def run_of(model, folder=Path(), data=None):
    """A finished run of a model that lies in no run directory, trained on these data."""
    model.eval().freeze()
    run = FinishedRun(model, folder / "own.ckpt", folder)
    if data is not None:
        vars(run)["data"] = data
    return run
