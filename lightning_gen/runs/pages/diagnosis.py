"""What the numbers of a run say about its training, in words."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from lightning_gen.callbacks.sample_diversity import LOW
from lightning_gen.runs.pages.record import ENDS_IN_DIMENSION, Logged
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
    found = [Finding(*each) for look in looks for each in look(logged)]
    return sorted(found, key=lambda finding: finding.fine)


Found = Iterator[tuple[str, bool, str]]
"""What a look gives: the fields of a finding, or nothing where too little was logged."""


def finite(logged: Logged) -> Found:
    """Whether all losses are numbers."""
    losses = [c for c in logged.curves if c.endswith(("loss", "/reconstruction", "/kl"))]
    points = [(p.step, column, p.value) for column in losses for p in logged.curve(column)]
    broken = [point for point in points if not math.isfinite(point[2])]
    if broken:
        step, column, value = min(broken)
        text = (
            f"{column} became {value} at step {step}, the first of {len(broken)} values that are "
            "not finite. What came after it is worth nothing. Lower the learning rate, set "
            "trainer.gradient_clip_val (model.clip_norm of a GAN), or use trainer.precision "
            "32-true."
        )
        yield "Numbers", False, text
    elif losses:
        yield "Numbers", True, "All logged losses are finite."


def overfitting(logged: Logged) -> Found:
    """Whether the validation loss rose while training went on."""
    best, last = logged.least("val/loss"), logged.last("val/loss")
    few = len(logged.curve("val/loss")) < FEW
    if few or best is None or last is None or not math.isfinite(last.value):
        return
    rise, least = last.value - best.value, number(best.value)
    if best.step >= SETTLED * last.step or rise <= NOTICEABLE * abs(best.value):
        seen = f"its least value, {least} in epoch {best.epoch} of {last.epoch}.{_gap(logged)}"
        yield "Overfitting", True, f"val/loss did not rise noticeably after {seen}"
        return
    text = (
        f"val/loss was least, {least}, in epoch {best.epoch} and rose by {number(rise)} to "
        f"{number(last.value)} in epoch {last.epoch}.{_gap(logged)} best.ckpt is of epoch "
        f"{best.epoch}; later epochs were spent for nothing. Try fewer epochs, a smaller network, "
        "model.corruption, or more images."
    )
    yield "Overfitting", False, text


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


def progress(logged: Logged) -> Found:
    """Whether the validation loss was still falling in the last fifth of the run."""
    points = [p for p in logged.curve("val/loss") if math.isfinite(p.value)]
    before = [p.value for p in points if p.step <= 0.8 * points[-1].step]
    if len(points) < 5 or not before:
        return
    fall = min(before) - min(point.value for point in points)
    if fall > NOTICEABLE * abs(min(before)):
        text = (
            f"val/loss still fell by {number(fall)} in the last fifth of the run, to "
            f"{number(points[-1].value)}. More epochs are likely to help: go on with --ckpt_path "
            "last, and a larger trainer.max_epochs where that is reached."
        )
        yield "Training time", False, text


def collapse(logged: Logged) -> Found:
    """How much of the code a variational autoencoder uses."""
    kl = {
        name.removeprefix(ENDS_IN_DIMENSION).lstrip("0") or "0": points[-1].value
        for name, points in logged.curves.items()
        if name.startswith(ENDS_IN_DIMENSION)
    }
    active = logged.last("val/active_units")
    if not kl or active is None or not all(map(math.isfinite, kl.values())):
        return
    seen = (
        f"{active.value:.0f} of {len(kl)} latent dimensions are active, with a KL of "
        f"{number(sum(kl.values()))} nats per image in all"
    )
    if active.value == 0:
        remedy = "Try objective.warmup_steps, objective.free_bits or a smaller beta."
        text = f"The posterior has collapsed: {seen}. The decoder ignores the code. {remedy}"
        yield "Posterior collapse", False, text
        return
    most = sorted(kl, key=lambda name: kl[name], reverse=True)[:3]
    carried = ", ".join(f"{kl[name]:.2f} (dimension {name})" for name in most)
    text = f"{seen}. The most is carried by {carried}, counted from 0."
    if unused := [name for name, value in kl.items() if value < CARRIES_NOTHING]:
        shown = ", ".join(unused[:10]) + (", ..." if len(unused) > 10 else "")
        text += (
            f" {len(unused)} of them, {shown}, carry less than {CARRIES_NOTHING} nats each: a "
            f"model.latent_dim of {len(kl) - len(unused)} is likely to do as well."
        )
    yield "Latent code", True, text


def codebook(logged: Logged) -> Found:
    """How many of its codes a model uses."""
    use, perplexity = logged.last("val/code_use"), logged.last("val/perplexity")
    if use is None or perplexity is None:
        return
    seen = (
        f"{use.value:.0%} of the codes are used on the validation split, and the effective number "
        f"of codes (perplexity) is {number(perplexity.value)}."
    )
    fine = use.value >= WELL_USED
    tip = "Try a larger codebook.restart_below, or a smaller codebook.size."
    yield "Codebook", fine, seen if fine else f"Much of the codebook lies idle: {seen} {tip}"


def diversity(logged: Logged) -> Found:
    """How much samples differ from each other."""
    last = logged.last("samples/diversity")
    if last is None:
        return
    seen = (
        f"The samples differ from each other {last.value:.2f} times as much as real images do "
        "(mean distance in pixels)"
    )
    if last.value >= LOW:
        text = f"{seen}. That shows no collapse; noise would be diverse too."
        yield "Sample diversity", True, text
        return
    remedy = "Try a penalty on the discriminator, a lower learning rate or another seed."
    yield "Mode collapse", False, f"{seen}: nearly the same image comes from any noise. {remedy}"
