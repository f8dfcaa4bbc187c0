"""What a sweep file says."""

from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from lightning_gen.runs.sweep.sampler import Sampler
from lightning_gen.runs.sweep.space import Choice, Parameter, Plain


@dataclass(frozen=True)
class SweepFile:
    """What is varied, on which configuration, and by which metric.

    Attributes:
        path: the file.
        config: the configuration of ``fit``.
        metric: columns of a run's metrics.csv whose sum is compared, the best over the epochs.
        minimize: the least is the best.
        sampler: how values are drawn; None for a grid.
        trials: how many; None for a grid.
        overrides: options of every run.
        parameters: what is varied, by the key of the configuration.
    """

    path: Path
    config: Path
    metric: tuple[str, ...]
    minimize: bool
    sampler: Sampler | None
    trials: int | None
    overrides: dict[str, Plain]
    parameters: dict[str, Parameter]

    @property
    def metric_name(self) -> str:
        """The metric as the file writes it."""
        return " + ".join(self.metric)

    @property
    def combinations(self) -> list[dict[str, Plain]]:
        """Those of a grid, the last parameter varying fastest."""
        values = [p.values for p in self.parameters.values() if isinstance(p, Choice)]
        return [dict(zip(self.parameters, each, strict=True)) for each in product(*values)]

    @property
    def identity(self) -> dict[str, Any]:
        """What the trials of one study must have in common, as plain values."""
        return {
            "config": self.config.name,
            "metric": self.metric_name,
            "direction": "minimize" if self.minimize else "maximize",
            "grid": self.sampler is None,
            **{f"overrides.{key}": value for key, value in self.overrides.items()},
            **{f"parameters.{key}": asdict(value) for key, value in self.parameters.items()},
        }
