"""A run on disk: its directory, its metrics, its environment."""

from lightning_gen.runs.directory import RunDirectory
from lightning_gen.runs.environment import describe_environment
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.metrics_file import MetricsFile, RunLogger

__all__ = ["FinishedRun", "MetricsFile", "RunDirectory", "RunLogger", "describe_environment"]
