"""What came of a trial: its metric, or why it has none."""

import math
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from lightning_gen.errors import UserError
from lightning_gen.runs.directory import RunDirectory
from lightning_gen.runs.metrics_file import read_rows
from lightning_gen.runs.sweep.reading import SweepFile
from lightning_gen.runs.sweep.sampler import nearest

ERROR_LINE = re.compile(r"lightning-gen \w+: (.+)|((?:\w+\.)*\w*(?:Error|Exception|Interrupt)\b.*)")


class Outcome(NamedTuple):
    """What came of a trial; without a value it failed."""

    value: float | None
    error: str = ""
    directory: str = ""
    test: Mapping[str, float] = {}


def failure(output: Path, code: int) -> str:
    """The last line of a log that tells of an error; the last line where none does."""
    lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
    lines = [line.strip() for line in lines if line.strip()]
    found = [match for match in map(ERROR_LINE.fullmatch, lines) if match]
    if code == -signal.SIGKILL:
        return "it was killed, as the system does when memory runs out"
    if found:
        return found[-1][1] or found[-1][2]
    return lines[-1] if lines else f"exit code {code}, and it printed nothing"


def read_outcome(sweep: SweepFile, run: RunDirectory) -> Outcome:
    """The best value of the metric over the epochs, and the metrics of the test split.

    Raises:
        UserError: the run has no such metric.
    """
    rows = read_rows(run.metrics)
    for column in sweep.metric:
        if rows and column not in rows[0]:
            raise UserError(
                f"metric: the run logs no {column}. {nearest(column, rows[0])} "
                "Mend the sweep file and pass another --name."
            )
    whole = [row for row in rows if all(row[column] for column in sweep.metric)]
    values = [sum(float(row[column]) for column in sweep.metric) for row in whole]
    values = [value for value in values if math.isfinite(value)]
    if not values:
        return Outcome(None, f"{sweep.metric_name} was never a number", str(run.path))
    tests = {k: float(v) for row in rows for k, v in row.items() if k.startswith("test/") and v}
    return Outcome(min(values) if sweep.minimize else max(values), "", str(run.path), tests)
