"""A run: its directory, its records, how it goes on, and what every training has."""

from lightning_gen.training.directory import RunDirectory
from lightning_gen.training.metrics_file import RunLogger

__all__ = ["RunDirectory", "RunLogger"]
