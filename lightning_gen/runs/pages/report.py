"""``report``: everything about one run in one HTML file."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup
from PIL import Image

from lightning_gen.figures.curves import separate_curves
from lightning_gen.figures.style import to_svg
from lightning_gen.runs.pages.diagnosis import diagnose
from lightning_gen.runs.pages.facts import facts
from lightning_gen.runs.pages.html import Caption, caption, captions, write_page
from lightning_gen.runs.pages.record import ENDS_IN_DIMENSION, Logged, Point, RunRecord, unit
from lightning_gen.runs.scores import read_scores, with_error

REPORT = "report.html"
STAGES = ("train", "val", "test")
FIRST = ("loss", "reconstruction", "kl", "bits_per_dimension")
"""The order of the first metrics."""


class Value(NamedTuple):
    """A number with its name and unit."""

    name: str
    unit: str
    value: float


class MetricRow(NamedTuple):
    """A quantity in each stage; None where a stage has none.

    Attributes:
        best: in the validation of the best epoch.
    """

    name: str
    unit: str
    test: Point | None
    best: Point | None
    val: Point | None
    train: Point | None


class Picture(NamedTuple):
    """A picture, and the training step that it is of, such as ``step 844``."""

    label: str
    image: Image.Image


class Series(NamedTuple):
    """The pictures of one callback.

    Attributes:
        kind: the name of their folder.
        caption: what they are, and how to read them.
        latest: the last one.
        earlier: the first and the middle one, where there are more than two.
        broken: names of files that cannot be read.
    """

    kind: str
    caption: Caption
    latest: Picture | None
    earlier: list[Picture]
    broken: list[str]


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
    directory, logged = record.directory, record.logged
    charts = draw_charts(logged)
    scores = score_rows(directory.path)
    return write_page(
        "report.html",
        out or directory.path / REPORT,
        run=record,
        facts=facts(record),
        headline=headline(logged),
        best=logged.least("val/loss"),
        findings=diagnose(logged),
        metrics=metric_rows(logged, {score["name"] for score in scores}),
        scores=scores,
        others=other_metrics(logged),
        charts=charts,
        series=read_series(directory.images, frozenset({"loss_curves"} if charts else ())),
    )


def read_series(images: Path, without: frozenset[str] = frozenset()) -> list[Series]:
    """All kinds of pictures below ``images/``, those of the folders ``without`` left out."""
    kinds = {path.parent.name for path in images.glob("*/*.png")} - without
    known = [kind for kind in captions() if kind in kinds]
    return [_read(images / kind) for kind in (*known, *sorted(kinds - set(known)))]


def _read(folder: Path) -> Series:
    paths = sorted(folder.glob("*.png"))
    chosen = [paths[0], paths[len(paths) // 2]] if len(paths) > 2 else paths[:-1]
    broken: list[str] = []
    earlier = list(_open(chosen, broken))
    latest = next(_open(paths[-1:], broken), None)
    return Series(folder.name, caption(folder.name), latest, earlier, broken)


def _open(paths: list[Path], broken: list[str]) -> Iterator[Picture]:
    for path in paths:
        try:
            with Image.open(path, formats=("PNG",)) as file:
                image = file.convert("RGB")
        except Exception:  # Pillow raises nearly anything at broken bytes
            broken.append(f"{path.parent.name}/{path.name}")
        else:
            step = path.stem
            yield Picture(f"step {int(step):,}" if step.isdecimal() else step, image)


def headline(logged: Logged) -> Value | None:
    """The test loss, or the nearest thing to it that was logged."""
    candidates = (
        ("Test loss", unit("loss"), logged.last("test/loss")),
        ("Best validation loss", unit("loss"), logged.least("val/loss")),
        ("Sample diversity", "where real images have 1", logged.last("samples/diversity")),
    )
    return next((Value(name, of, p.value) for name, of, p in candidates if p is not None), None)


def metric_rows(logged: Logged, scores: set[str]) -> list[MetricRow]:
    """The last values of what was logged by stage, and those of the best epoch; no scores."""
    split = [column.partition("/") for column in logged.curves]
    names = {name for stage, _, name in split if stage in STAGES and name and "/" not in name}
    order = sorted(names - scores, key=lambda n: (FIRST.index(n) if n in FIRST else len(FIRST), n))
    best = logged.least("val/loss")
    return [
        MetricRow(
            name.replace("_", " "),
            unit(name),
            logged.last(f"test/{name}"),
            logged.at(f"val/{name}", best.step) if best else None,
            logged.last(f"val/{name}"),
            logged.last(f"train/{name}"),
        )
        for name in order
    ]


def other_metrics(logged: Logged) -> list[Value]:
    """The last value of what belongs to no stage."""
    columns = [c for c in logged.curves if c.partition("/")[0] not in STAGES]
    return [
        Value(column, unit(column), point.value)
        for column in columns
        if not column.startswith(ENDS_IN_DIMENSION) and (point := logged.last(column))
    ]


def score_rows(run: Path) -> list[dict[str, Any]]:
    """The cards of ``metrics.json`` but those of single dimensions, and how each is ``shown``.

    Raises:
        UserError: the file is broken.
    """
    rows = [
        card | {"name": name, "split": split}
        for split, cards in read_scores(run).items()
        for name, card in cards.items()
        if "/" not in name and card["value"] is not None
    ]
    for row in rows:
        error = row["standard_error"]
        row["shown"] = with_error(row["value"], math.nan if error is None else error)
    return rows


def draw_charts(logged: Logged) -> dict[str, Markup]:
    """A chart for each quantity that was logged by stage."""
    figures = separate_curves([dict(row) | {"step": str(row["step"])} for row in logged.rows])
    return {
        name.replace("_", " "): Markup(to_svg(figure, f"curve-{number}"))
        for number, (name, figure) in enumerate(figures.items())
    }
