"""``report``: everything about one run in one HTML file."""

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from lightning_gen.errors import UserError
from lightning_gen.figures.curves import separate_curves
from lightning_gen.figures.style import to_svg
from lightning_gen.runs.outputs import open_picture
from lightning_gen.runs.pages.diagnosis import diagnose
from lightning_gen.runs.pages.html import Exhibit, captions, data_uri, environment, write_page
from lightning_gen.runs.pages.record import ENDS_IN_DIMENSION, RunRecord
from lightning_gen.training.directory import CONFIG
from lightning_gen.training.scores import read_scores, with_error

if TYPE_CHECKING:
    from lightning_gen.runs.finished import FinishedRun

STAGED = ("train/", "val/", "test/", ENDS_IN_DIMENSION)


def report(run: Path, out: Path | None = None) -> Path:
    """Write the report of a run; neither its model nor its dataset is loaded.

    A UserError says that there is no such run, or that a file is broken or cannot be written.

    Args:
        run: a run directory, a checkpoint inside one, or the name of a run.
        out: an .html file.
    """
    record = RunRecord.read(run)
    path, logged = record.directory.path, record.logged
    rows = [dict(row) | {"step": str(row["step"])} for row in logged.rows]
    figures = separate_curves(rows, record.quantities).items()
    charts = {
        name.replace("_", " "): Markup(to_svg(figure, f"curve-{number}"))
        for number, (name, figure) in enumerate(figures)
    }
    scores = score_rows(path)
    split = [column.partition("/") for column in logged.curves if column.startswith(STAGED[:3])]
    names = {name for _, _, name in split if name and "/" not in name}
    metrics = names - {score["name"] for score in scores}
    return write_page(
        "report.html",
        out or path / "report.html",
        run=record,
        logged=logged,
        findings=diagnose(logged),
        metrics=sorted(metrics, key=record.quantities.place),
        others=[column for column in logged.curves if not column.startswith(STAGED)],
        scores=scores,
        charts=charts,
        exhibits=[*exhibits(record.directory.images, {"loss_curves"} if charts else set())],
        config=(path / CONFIG).read_text(encoding="utf-8", errors="replace"),
    )


def exhibits(images: Path, drawn: set[str]) -> Iterator[Exhibit]:
    """The first, the middle and the last picture of each folder of ``images``, the last one last.

    Folders of what is ``drawn`` anew are left out.
    """
    kinds = {path.parent.name for path in images.glob("*/*.png")} - drawn
    known = [kind for kind in captions() if kind in kinds]
    for kind in (*known, *sorted(kinds - set(known))):
        exhibit = Exhibit.of(kind)
        paths = sorted((images / kind).glob("*.png"))
        for path in sorted({paths[0], paths[len(paths) // 2], paths[-1]}):
            step = path.stem
            try:
                image = open_picture(path)
            except Exception:  # Pillow raises nearly anything at broken bytes
                exhibit.notes.append(f"Cannot be read: {kind}/{path.name}")
            else:
                exhibit.pictures[f"step {int(step):,}" if step.isdecimal() else step] = image
        yield exhibit


def score_rows(run: Path) -> list[dict[str, Any]]:
    """The cards of ``metrics.json`` but those of single dimensions, and how each is ``shown``."""
    rows = []
    for split, cards in read_scores(run).items():
        for name, card in cards.items():
            value, error = card["value"], card.get("standard_error")
            if "/" not in name and value is not None:
                shown = with_error(value, math.nan if error is None else error)
                about = {"unit": "none", "num_images": 0} | card
                rows.append(about | {"name": name, "split": split, "shown": shown})
    return rows


def in_a_notebook(run: "FinishedRun") -> str:
    """What a notebook shows of a run, as HTML: the scores of its test and its latest pictures."""
    try:
        scores = run.test
    except UserError:  # its files are gone
        scores = {}
    shown = [(Exhibit.of(kind), image) for kind, image in run.images.items()]
    small = partial(data_uri, None, 480)
    page = environment().get_template("notebook.html")
    return page.render(run=run, scores=scores, shown=shown, uri=small)
