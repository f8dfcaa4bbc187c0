"""What the losses of a run say about its training, in words."""

import math

from lightning_gen.runs.pages.finding import Finding
from lightning_gen.runs.pages.logged import Logged, number

NOTICEABLE = 0.005
"""A change of a loss by less than this share of it is noise here."""

SETTLED = 0.7
"""A loss that is least before this share of the run has risen for a while."""

FEW = 3
"""Fewer validations than these show no trend."""

LAST_PART = 0.2
"""The share of the run, at its end, that tells whether a loss is still falling."""


def finite(logged: Logged) -> Finding | None:
    """Whether all losses are numbers."""
    losses = [c for c in logged.columns if c.endswith(("loss", "/reconstruction", "/kl"))]
    broken = [
        (point.step, column, point.value)
        for column in losses
        for point in logged.curve(column)
        if not math.isfinite(point.value)
    ]
    if not losses:
        return None
    if not broken:
        return Finding("Numbers", True, "All logged losses are finite.")
    step, column, value = min(broken)
    return Finding(
        "Numbers",
        False,
        f"{column} became {value} at step {step}, the first of {len(broken)} values that are not "
        "finite. What came after it is worth nothing. Lower the learning rate, set "
        "trainer.gradient_clip_val (model.clip_norm of a GAN), or use trainer.precision 32-true.",
    )


def overfitting(logged: Logged) -> Finding | None:
    """Whether the validation loss rose while training went on."""
    best, last = logged.least("val/loss"), logged.last("val/loss")
    if best is None or last is None or not math.isfinite(last.value):
        return None
    if len(logged.curve("val/loss")) < FEW:
        return None
    rise = last.value - best.value
    gap = _gap(logged)
    if best.step < SETTLED * last.step and rise > NOTICEABLE * abs(best.value):
        return Finding(
            "Overfitting",
            False,
            f"val/loss was least, {number(best.value)}, in epoch {best.epoch} and rose by "
            f"{number(rise)} to {number(last.value)} in epoch {last.epoch}.{gap} best.ckpt is of "
            f"epoch {best.epoch}; later epochs were spent for nothing. Try fewer epochs, a "
            "smaller network, model.corruption, or more images.",
        )
    return Finding(
        "Overfitting",
        True,
        f"val/loss did not rise noticeably after its least value, {number(best.value)} in epoch "
        f"{best.epoch} of {last.epoch}.{gap}",
    )


def _gap(logged: Logged) -> str:
    """The last epoch's training against its validation, in the part that no weight changes."""
    name = "reconstruction" if logged.curve("train/reconstruction") else "loss"
    train, held_out = logged.curve(f"train/{name}"), logged.last(f"val/{name}")
    if not train or held_out is None or train[-1].epoch != held_out.epoch:
        return ""
    values = [point.value for point in train if point.epoch == held_out.epoch]
    mean = sum(values) / len(values)
    if not (math.isfinite(mean) and math.isfinite(held_out.value)):
        return ""
    return (
        f" In the last epoch {name} was {number(mean)} in training (mean of {len(values)} logged "
        f"steps) and {number(held_out.value)} in validation."
    )


def progress(logged: Logged) -> Finding | None:
    """Whether the validation loss was still falling at the end."""
    points = [p for p in logged.curve("val/loss") if math.isfinite(p.value)]
    if len(points) < 5:
        return None
    before = [p for p in points if p.step <= (1 - LAST_PART) * points[-1].step]
    if not before:
        return None
    best_before = min(before, key=lambda point: point.value)
    fall = best_before.value - min(point.value for point in points)
    if fall <= NOTICEABLE * abs(best_before.value):
        return None
    return Finding(
        "Training time",
        False,
        f"val/loss still fell by {number(fall)} in the last fifth of the run, to "
        f"{number(points[-1].value)}. More epochs are likely to help: go on with --ckpt_path last, "
        "and a larger trainer.max_epochs where that is reached.",
    )
