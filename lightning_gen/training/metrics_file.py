"""``metrics.csv``: one row a step, appended as training goes."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from lightning_gen.atomic import room_for, write_text
from lightning_gen.errors import UserError
from lightning_gen.training.directory import RunDirectory

Row = dict[str, Any]
MOST_STEPS = 2**53
"""A step that is no exact float is none."""


class MetricsFile:
    """A CSV table with one row a step and one column a metric; empty where none was logged.

    What is logged at one step, by training, validation and callbacks, meets in one row. An existing
    file is continued.
    """

    flush_every = 20

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written = read_rows(path)
        self._columns = list(self._written[0]) if self._written else ["epoch", "step"]
        self._pending: list[Row] = []

    def log(self, metrics: Mapping[str, float | Tensor], step: int) -> None:
        """Add values to the row of ``step``, which is the latest or a new one."""
        if not self._pending or self._pending[-1]["step"] != step:
            if len(self._pending) >= self.flush_every:
                self.save()
            self._pending.append({"step": step})
        values = {k: v.item() if isinstance(v, Tensor) else v for k, v in metrics.items()}
        self._pending[-1] |= values

    def save(self) -> None:
        """Write what is pending: appended, or the whole file anew where its form changes."""
        if not self._pending:
            return
        columns = self._columns + sorted(
            {name for row in self._pending for name in row} - set(self._columns)
        )
        continued = bool(self._written) and self._written[-1]["step"] == self._pending[0]["step"]
        if continued:
            self._pending[0] = self._written.pop() | self._pending[0]
        if continued or columns != self._columns or not self._written:
            text = table(columns, self._written + self._pending, header=True)
            write_text(self.path, text)
        else:
            with room_for(self.path), self.path.open("a", encoding="utf-8", newline="") as file:
                file.write(table(columns, self._pending, header=False))
        self._columns = columns
        self._written += self._pending
        self._pending = []

    def forget_from(self, step: int) -> None:
        """Drop the rows of ``step`` and later, which a resumed run writes again, and half a row."""
        self._written = [row for row in self._written if row["step"] < step]
        if self.path.is_file():
            write_text(self.path, table(self._columns, self._written, header=True))


def table(columns: list[str], rows: list[Row], *, header: bool) -> str:
    """The rows as CSV; a cell is empty where a row has no value."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def read_rows(path: Path) -> list[Row]:
    """The rows of a ``metrics.csv``, none without a file; a UserError where it is no such table.

    A last line that does not end is being written, or was cut off by a crash, and does not count.
    """
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            whole = (line for line in file if line.endswith("\n"))
            return [_read(row) for row in csv.DictReader(whole)]
    except (ValueError, LookupError, TypeError, OverflowError, csv.Error) as error:
        raise no_table(path, error) from error


def _read(row: dict[str, str]) -> Row:
    step, epoch = int(row["step"]), float(row.get("epoch") or 0)
    if not (0 <= step < MOST_STEPS and 0 <= epoch < MOST_STEPS and None not in row):
        raise ValueError(f"step {step:.5g}, epoch {epoch:.5g} in a line of {len(row)} cells")
    return row | {"step": step}


def no_table(path: Path, error: Exception) -> UserError:
    """The error about a file that is no table of numbers."""
    reason = " ".join(str(error).split())[:200]
    return UserError(
        f"{path} is no table of numbers with a column 'step' ({reason}). Copy the run once more, "
        "or move the file away."
    )


class RunLogger(CSVLogger):
    """Lightning's logger of a run directory; every run has one."""

    def __init__(self, directory: RunDirectory) -> None:
        path = directory.path
        super().__init__(path.parent.parent, name=path.parent.name, version=path.name)
        self.file = MetricsFile(directory.metrics)

    @property
    def experiment(self) -> MetricsFile:
        """The table."""
        return self.file

    @rank_zero_only
    def log_hyperparams(self, params: Any = None) -> None:  # noqa: ANN401  (Lightning's signature)
        """Nothing: ``config.yaml`` holds them."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float | Tensor], step: int | None = None) -> None:
        """Add a row, or to the latest one."""
        self.file.log(metrics, step or 0)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write what is pending."""
        self.save()
