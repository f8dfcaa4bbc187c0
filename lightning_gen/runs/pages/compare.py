"""``compare``: several runs side by side, as a page, a table or a chart."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from markupsafe import Markup
from matplotlib.figure import Figure

from lightning_gen.errors import UserError
from lightning_gen.figures.curves import Curve, compared_curves
from lightning_gen.figures.style import to_svg
from lightning_gen.runs.finished import FinishedRun, existing_device
from lightning_gen.runs.outputs import PICTURES, check_ending, write_picture
from lightning_gen.runs.pages.compared import (
    ComparedRun,
    compared_metrics,
    compared_settings,
    differing,
    leader,
    open_all,
    quantities_of,
)
from lightning_gen.runs.pages.exhibits import SharedImages, all_exhibits
from lightning_gen.runs.pages.html import write_page
from lightning_gen.runs.pages.tables import TABLES, write_table

COLUMN = "val/loss"


def compare(
    *runs: str | Path | FinishedRun,
    out: Path | None = None,
    metrics: Sequence[str] = (),
    num_images: int = 16,
    seed: int = 0,
    device: str = "auto",
) -> Path:
    """Write the comparison of several runs; torch's random state stays as it was.

    Runs that differ by their seeds alone are one: their mean and standard deviation are shown.

    Args:
        runs: run directories, checkpoints inside them, or names of runs; two at least.
        out: a page (.html) with everything; a table of settings and metrics (.csv, .tex); or the
            loss curves as a chart (.pdf, .svg, .png).
        metrics: columns of a table, such as test/loss; by default all of the test and of samples.
        num_images: how many test images are reconstructed, and how many samples are drawn.
        seed: of the samples.
        device: where the models run.

    Raises:
        UserError: a run cannot be loaded, their shapes differ, or the page cannot be written.
    """
    if out is not None:
        check_ending(Path(out), (".html", ".htm", *TABLES, *PICTURES))
    if metrics and (out is None or Path(out).suffix not in TABLES):
        raise UserError(f"metrics are columns of a table. Pass --out with {' or '.join(TABLES)}.")
    used = existing_device(device)
    devices = [used] if used.type == "cuda" else []
    with torch.random.fork_rng(devices, device_type="cuda"), torch.no_grad():
        opened = open_all(runs, device)
        place = Path(out or opened[0].finished.path.parent / "compare.html")
        if place.suffix in TABLES:
            return write_table(opened, metrics, place)
        if place.suffix in PICTURES:
            write_picture(_chart(opened), place)
            return place
        return _write_page(opened, num_images, seed, place)


def _write_page(runs: Sequence[ComparedRun], num_images: int, seed: int, out: Path) -> Path:
    runs[0].finished.check_request(Path("page.png"), num_images * (1 + len(runs)))
    notes, images = [], None
    try:
        images = SharedImages.read(runs, num_images)
    except UserError:
        notes.append(
            f"The test split of {runs[0].label} cannot be read here, so nothing is shown "
            "that needs images. Run compare where the data.root of its config.yaml is found."
        )
    metrics = compared_metrics(runs)
    settings = compared_settings([run.record.config for run in runs])
    told = differing(settings)
    return write_page(
        "compare.html",
        out,
        runs=runs,
        notes=notes,
        metrics=metrics,
        leader=leader(metrics),
        curves=Markup(to_svg(_chart(runs), "curves")) if _curves(runs) else None,
        exhibits=all_exhibits(runs, images, num_images, seed),
        differing=told,
        common={key: values for key, values in settings.items() if key not in told},
    )


def _chart(runs: Sequence[ComparedRun]) -> Figure:
    """The validation losses; a UserError where no run has any."""
    if not (curves := _curves(runs)):
        raise UserError(f"none of the runs has logged {COLUMN}. Pass --out compare.html.")
    return compared_curves(curves, COLUMN, quantities_of(runs).of(COLUMN).unit)


def _curves(runs: Sequence[ComparedRun]) -> dict[str, list[Curve]]:
    """The finite validation losses of each run, a curve a seed."""
    found: dict[str, list[Curve]] = {}
    for run in runs:
        for record in run.records:
            points = [p for p in record.logged.curve(COLUMN) if math.isfinite(p.value)]
            if points:
                curve = Curve([float(p.step) for p in points], [p.value for p in points])
                found.setdefault(run.label, []).append(curve)
    return found
