"""``compare``: several runs side by side in one HTML file."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from markupsafe import Markup

from lightning_gen.errors import UserError
from lightning_gen.figures.curves import Curve, compared_curves
from lightning_gen.figures.style import to_svg
from lightning_gen.runs.finished import FinishedRun, existing_device
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

COLUMN = "val/loss"


def compare(
    *runs: str | Path | FinishedRun,
    out: Path | None = None,
    num_images: int = 16,
    seed: int = 0,
    device: str = "auto",
) -> Path:
    """Write the comparison of several runs; torch's random state stays as it was.

    Args:
        runs: run directories, checkpoints inside them, or names of runs; two at least.
        out: an .html file.
        num_images: how many test images are reconstructed, and how many samples are drawn.
        seed: of the samples.
        device: where the models run.

    Raises:
        UserError: a run cannot be loaded, their shapes differ, or the page cannot be written.
    """
    used = existing_device(device)
    devices = [used] if used.type == "cuda" else []
    with torch.random.fork_rng(devices, device_type="cuda"), torch.no_grad():
        opened = open_all(runs, device)
        first = opened[0].finished
        first.check_request(Path("page.png"), num_images * (1 + len(opened)))
        notes, images = [], None
        try:
            images = SharedImages.read(opened, num_images)
        except UserError:
            notes.append(
                f"The test split of {opened[0].label} cannot be read here, so nothing is shown "
                "that needs images. Run compare where the data.root of its config.yaml is found."
            )
        shown = all_exhibits(opened, images, num_images, seed)
    metrics = compared_metrics(opened)
    settings = compared_settings([run.record.config for run in opened])
    told = differing(settings)
    return write_page(
        "compare.html",
        out or first.path.parent / "compare.html",
        runs=opened,
        notes=notes,
        metrics=metrics,
        leader=leader(metrics),
        curves=_curves(opened),
        exhibits=shown,
        differing=told,
        common={key: values for key, values in settings.items() if key not in told},
    )


def _curves(runs: Sequence[ComparedRun]) -> Markup | None:
    """The validation losses as SVG; None where no run has any."""
    curves = {}
    for run in runs:
        points = [p for p in run.record.logged.curve(COLUMN) if math.isfinite(p.value)]
        if points:
            curves[run.label] = Curve([float(p.step) for p in points], [p.value for p in points])
    unit = quantities_of(runs).of(COLUMN).unit
    return Markup(to_svg(compared_curves(curves, COLUMN, unit), "curves")) if curves else None
