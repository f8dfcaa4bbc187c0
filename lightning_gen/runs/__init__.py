"""A finished run, and what is done with it."""

from lightning_gen.runs.finished import FinishedRun

__all__ = ["FinishedRun"]
