"""``report``: everything about one run in one HTML file."""

from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from lightning_gen.figures.curves import separate_curves
from lightning_gen.figures.style import to_svg
from lightning_gen.runs.directory import RunDirectory
from lightning_gen.runs.pages.diagnosis import diagnose
from lightning_gen.runs.pages.facts import facts
from lightning_gen.runs.pages.html import write_page
from lightning_gen.runs.pages.logged import ENDS_IN_DIMENSION, Logged, Point, unit
from lightning_gen.runs.pages.pictures import read_series
from lightning_gen.runs.pages.record import RunRecord
from lightning_gen.runs.pages.score_rows import score_rows

REPORT = "report.html"
STAGES = ("train", "val", "test")
SECTIONS = (
    ("what", "What was run"),
    ("metrics", "Metrics"),
    ("scores", "Scores"),
    ("diagnosis", "Diagnosis"),
    ("curves", "Loss curves"),
    ("pictures", "Pictures"),
    ("configuration", "Configuration"),
)
"""What a link calls each part of the page, and its heading."""


class Headline(NamedTuple):
    """The one number that matters."""

    title: str
    value: float
    unit: str


class MetricRow(NamedTuple):
    """A quantity in each stage; None where a stage has none.

    Attributes:
        best: in the validation of the best epoch.
    """

    name: str
    unit: str
    train: Point | None
    val: Point | None
    best: Point | None
    test: Point | None


class Chart(NamedTuple):
    """A drawn curve."""

    name: str
    svg: Markup


def report(run: Path, out: Path | None = None) -> Path:
    """Write the report of a run; neither its model nor its dataset is loaded.

    Args:
        run: a run directory, a checkpoint inside one, or the name of a run.
        out: an .html file.

    Returns:
        The file.

    Raises:
        UserError: there is no such run, one of its files is broken, or the report cannot be
            written.
    """
    record = RunRecord.read(run)
    charts = draw_charts(record.logged)
    shown_as_charts = frozenset({"loss_curves"} if charts else ())
    scores = score_rows(record.path)
    return write_page(
        "report.html",
        out or record.path / REPORT,
        sections=[section for section in SECTIONS if scores or section[0] != "scores"],
        run=record,
        facts=facts(record),
        headline=headline(record.logged),
        best=record.logged.least("val/loss"),
        findings=diagnose(record.logged.rows),
        metrics=metric_rows(record.logged, {score.name for score in scores}),
        scores=scores,
        others=other_metrics(record.logged),
        charts=charts,
        series=read_series(RunDirectory(record.path).images, shown_as_charts),
    )


def headline(logged: Logged) -> Headline | None:
    """The test loss, or the nearest thing to it that was logged."""
    test = logged.last("test/loss")
    if test is not None:
        return Headline("Test loss", test.value, unit("test/loss"))
    validation = logged.least("val/loss")
    if validation is not None:
        return Headline("Best validation loss", validation.value, unit("val/loss"))
    diversity = logged.last("samples/diversity")
    if diversity is not None:
        return Headline("Sample diversity", diversity.value, "where real images have 1")
    return None


def metric_rows(logged: Logged, scores: set[str]) -> list[MetricRow]:
    """The last values of what was logged by stage, and those of the best epoch; no scores."""
    names: dict[str, None] = {}
    for column in sorted(logged.columns, key=_importance):
        stage, _, name = column.partition("/")
        if stage in STAGES and name and name not in scores and "/" not in name:
            names[name] = None
    best = logged.least("val/loss")
    return [
        MetricRow(
            name.replace("_", " "),
            unit(name),
            logged.last(f"train/{name}"),
            logged.last(f"val/{name}"),
            logged.at(f"val/{name}", best.step) if best else None,
            logged.last(f"test/{name}"),
        )
        for name in names
    ]


def _importance(column: str) -> tuple[int, str]:
    first = ("loss", "reconstruction", "kl", "bits_per_dimension")
    name = column.partition("/")[2]
    return (first.index(name) if name in first else len(first), name)


def other_metrics(logged: Logged) -> list[tuple[str, str, float]]:
    """Name, unit and last value of what belongs to no stage."""
    columns = [c for c in logged.columns if c.partition("/")[0] not in STAGES]
    return [
        (column, unit(column), point.value)
        for column in columns
        if not column.startswith(ENDS_IN_DIMENSION) and (point := logged.last(column))
    ]


def draw_charts(logged: Logged) -> list[Chart]:
    """A chart for each quantity that was logged by stage."""
    figures = separate_curves([dict(row) | {"step": str(row["step"])} for row in logged.rows])
    return [
        Chart(name.replace("_", " "), Markup(to_svg(figure, f"curve-{number}")))
        for number, (name, figure) in enumerate(figures.items())
    ]
