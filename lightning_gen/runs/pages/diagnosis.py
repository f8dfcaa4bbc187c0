"""What the numbers of a run say about its training, in words."""

import math
from typing import NamedTuple

from lightning_gen.callbacks.samples import LOW
from lightning_gen.runs.pages.record import ENDS_IN_DIMENSION, Logged, Point
from lightning_gen.runs.scores import number

NOTICEABLE = 0.005
"""A change of a loss by less than this share of it is noise here."""

SETTLED = 0.7
"""A loss that is least before this share of the run has risen for a while."""

FEW = 3
"""Fewer validations than these show no trend."""

CARRIES_NOTHING = 0.01
"""Nats per image under which a latent dimension tells nothing of an image."""

WELL_USED = 0.5
"""The share of a codebook that a healthy model uses."""


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        topic: what.
        fine: nothing is wrong with it.
        text: what was seen, with its numbers, and where something is wrong what to try.
    """

    topic: str
    fine: bool
    text: str


def diagnose(logged: Logged) -> list[Finding]:
    """All that a run's numbers allow to say; what was not logged is not mentioned."""
    looks = (finite, overfitting, progress, collapse, codebook, diversity)
    found = [finding for look in looks if (finding := look(logged)) is not None]
    return sorted(found, key=lambda finding: finding.fine)


def finite(logged: Logged) -> Finding | None:
    """Whether all losses are numbers."""
    losses = [c for c in logged.curves if c.endswith(("loss", "/reconstruction", "/kl"))]
    points = [(p.step, column, p.value) for column in losses for p in logged.curve(column)]
    broken = [point for point in points if not math.isfinite(point[2])]
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
    rise, least = last.value - best.value, number(best.value)
    if best.step >= SETTLED * last.step or rise <= NOTICEABLE * abs(best.value):
        seen = f"its least value, {least} in epoch {best.epoch} of {last.epoch}.{_gap(logged)}"
        return Finding("Overfitting", True, f"val/loss did not rise noticeably after {seen}")
    return Finding(
        "Overfitting",
        False,
        f"val/loss was least, {least}, in epoch {best.epoch} and rose by {number(rise)} to "
        f"{number(last.value)} in epoch {last.epoch}.{_gap(logged)} best.ckpt is of epoch "
        f"{best.epoch}; later epochs were spent for nothing. Try fewer epochs, a smaller network, "
        "model.corruption, or more images.",
    )


def _gap(logged: Logged) -> str:
    """The last epoch's training against its validation, in the part that no weight changes."""
    name = "reconstruction" if logged.curve("train/reconstruction") else "loss"
    held_out = logged.last(f"val/{name}")
    train = [p for p in logged.curve(f"train/{name}") if held_out and p.epoch == held_out.epoch]
    if not train or held_out is None:
        return ""
    mean = sum(point.value for point in train) / len(train)
    if not math.isfinite(mean + held_out.value):
        return ""
    return (
        f" In the last epoch {name} was {number(mean)} in training (mean of {len(train)} logged "
        f"steps) and {number(held_out.value)} in validation."
    )


def progress(logged: Logged) -> Finding | None:
    """Whether the validation loss was still falling in the last fifth of the run."""
    points = [p for p in logged.curve("val/loss") if math.isfinite(p.value)]
    before = [p.value for p in points if p.step <= 0.8 * points[-1].step]
    if len(points) < 5 or not before:
        return None
    fall = min(before) - min(point.value for point in points)
    if fall <= NOTICEABLE * abs(min(before)):
        return None
    return Finding(
        "Training time",
        False,
        f"val/loss still fell by {number(fall)} in the last fifth of the run, to "
        f"{number(points[-1].value)}. More epochs are likely to help: go on with --ckpt_path last, "
        "and a larger trainer.max_epochs where that is reached.",
    )


def collapse(logged: Logged) -> Finding | None:
    """How much of the code a variational autoencoder uses."""
    names = [name for name in logged.curves if name.startswith(ENDS_IN_DIMENSION)]
    kl = {_dimension(name): p for name in names if (p := logged.last(name))}
    active = logged.last("val/active_units")
    if not kl or active is None or not all(math.isfinite(p.value) for p in kl.values()):
        return None
    total = sum(point.value for point in kl.values())
    seen = (
        f"{active.value:.0f} of {len(kl)} latent dimensions are active, with a KL of "
        f"{number(total)} nats per image in all"
    )
    if active.value == 0:
        remedy = "Try objective.warmup_steps, objective.free_bits or a smaller beta."
        text = f"The posterior has collapsed: {seen}. The decoder ignores the code. {remedy}"
        return Finding("Posterior collapse", False, text)
    return Finding("Latent code", True, f"{seen}.{_by_dimension(kl)}")


def _dimension(column: str) -> str:
    """``kl_per_dimension/03`` as ``3``."""
    return column.removeprefix(ENDS_IN_DIMENSION).lstrip("0") or "0"


def _by_dimension(kl: dict[str, Point]) -> str:
    order = sorted(kl, key=lambda name: kl[name].value, reverse=True)
    most = ", ".join(f"{kl[name].value:.2f} (dimension {name})" for name in order[:3])
    unused = [name for name in kl if kl[name].value < CARRIES_NOTHING]
    text = f" The most is carried by {most}, counted from 0."
    if unused:
        shown = ", ".join(unused[:10]) + (", ..." if len(unused) > 10 else "")
        text += (
            f" {len(unused)} of them, {shown}, carry less than {CARRIES_NOTHING} nats each: a "
            f"model.latent_dim of {len(kl) - len(unused)} is likely to do as well."
        )
    return text


def codebook(logged: Logged) -> Finding | None:
    """How many of its codes a model uses."""
    use, perplexity = logged.last("val/code_use"), logged.last("val/perplexity")
    if use is None or perplexity is None:
        return None
    seen = (
        f"{use.value:.0%} of the codes are used on the validation split, and the effective number "
        f"of codes (perplexity) is {number(perplexity.value)}."
    )
    if use.value >= WELL_USED:
        return Finding("Codebook", True, seen)
    tip = "Try a larger codebook.restart_below, or a smaller codebook.size."
    return Finding("Codebook", False, f"Much of the codebook lies idle: {seen} {tip}")


def diversity(logged: Logged) -> Finding | None:
    """How much samples differ from each other."""
    last = logged.last("samples/diversity")
    if last is None:
        return None
    seen = (
        f"The samples differ from each other {last.value:.2f} times as much as real images do "
        "(mean distance in pixels)"
    )
    if last.value >= LOW:
        text = f"{seen}. That shows no collapse; noise would be diverse too."
        return Finding("Sample diversity", True, text)
    remedy = "Try a penalty on the discriminator, a lower learning rate or another seed."
    text = f"{seen}: nearly the same image comes from any noise. {remedy}"
    return Finding("Mode collapse", False, text)
