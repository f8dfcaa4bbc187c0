"""The table of a comparison: a row a run, with the settings that differ and the metrics."""

import math
import re
from collections.abc import Sequence
from pathlib import Path

from lightning_gen.atomic import no_formula, write_rows, write_text
from lightning_gen.errors import UserError, nearest
from lightning_gen.hyperparameters import short_names
from lightning_gen.runs.pages.compared import (
    MOST_TOLD,
    UNTOLD,
    ComparedMetric,
    ComparedRun,
    Settings,
    compared_metrics,
    compared_settings,
    differing,
)
from lightning_gen.runs.pages.html import with_deviation

TABLES = (".csv", ".tex")


def write_table(runs: Sequence[ComparedRun], columns: Sequence[str], out: Path) -> Path:
    """Write the metrics of these columns; by default all but those of validation.

    A ``.csv`` has a mean, a standard deviation and a number of runs for each; a ``.tex`` is a
    ``tabular`` of the package booktabs, the best value in bold. A UserError names a column that no
    run has.
    """
    known = {metric.column: metric for metric in compared_metrics(runs)}
    if unknown := [column for column in columns if column not in known]:
        raise UserError(f"none of the runs has logged {unknown[0]}{nearest(unknown[0], known)}")
    tested = [column for column in known if not column.startswith("val/")]
    chosen = [known[column] for column in columns or tested or known]
    told = differing(compared_settings([run.record.config for run in runs]))
    settings = {key: values for key, values in told.items() if not re.match(UNTOLD, key)}
    if out.suffix == ".csv":
        write_rows(out, _rows(runs, settings, chosen))
    else:
        write_text(out, _latex(runs, settings, chosen))
    return out


def _rows(
    runs: Sequence[ComparedRun], settings: Settings, metrics: Sequence[ComparedMetric]
) -> list[list[object]]:
    """The lines of a CSV; a cell is empty where a run lacks a setting or a metric."""
    columns = [f"{m.column}{part}" for m in metrics for part in ("", " std", " n")]
    rows: list[list[object]] = [["run", *short_names(settings).values(), *columns]]
    for place, run in enumerate(runs):
        own = [no_formula(values[place] or "") for values in settings.values()]
        parts = ((m.values, m.deviations, m.counts) for m in metrics)
        values = [part[place] for each in parts for part in each]
        rows.append([no_formula(run.label), *own, *values])
    return rows


def _latex(
    runs: Sequence[ComparedRun], settings: Settings, metrics: Sequence[ComparedMetric]
) -> str:
    """A ``tabular`` with a line a run; arrows say which direction is better."""
    if len(settings) > MOST_TOLD:
        settings = {}  # the names of the runs tell them apart
    arrows = {"lower": r" $\downarrow$", "higher": r" $\uparrow$", "": ""}
    heads = [escaped(m.column) + arrows[m.quantity.better] for m in metrics]
    several = any(len(run.records) > 1 for run in runs)
    heads = ["run", *map(escaped, short_names(settings).values()), *["$n$"] * several, *heads]
    lines = [" & ".join(heads)]
    for place, run in enumerate(runs):
        cells = [escaped(values[place] or "--") for values in settings.values()]
        cells += [str(len(run.records))] * several
        cells += [_cell(metric, place) for metric in metrics]
        lines.append(" & ".join([escaped(run.label), *cells]))
    head, *body = (rf"{line} \\" for line in lines)
    units = sorted({f"{m.column} in {m.quantity.unit}" for m in metrics if m.quantity.unit})
    return "\n".join(
        [
            rf"% \usepackage{{booktabs}}; {escaped('; '.join(units))}",
            rf"\begin{{tabular}}{{l{'l' * len(settings)}{'r' * (several + len(metrics))}}}",
            r"\toprule",
            head,
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _cell(metric: ComparedMetric, place: int) -> str:
    if (value := metric.values[place]) is None:
        return "--"
    if not math.isfinite(value):
        return escaped(str(value))
    text = with_deviation(value, metric.deviations[place]).replace(" ± ", r" \pm ")
    return rf"$\mathbf{{{text}}}$" if place == metric.best else f"${text}$"


def escaped(text: str) -> str:
    """A text that LaTeX prints as it is, in one line."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
    special |= {sign: rf"\{sign}" for sign in "&%$#_{}"}
    return "".join(special.get(sign, sign) for sign in " ".join(text.split()))
