"""What the numbers of a run say about its training, in words."""

# ruff: noqa: ANN401  (``say`` is a template, whose macros are the sentences)

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from lightning_gen.callbacks.sample_diversity import LOW
from lightning_gen.callbacks.stability import WON
from lightning_gen.runs.pages.html import environment
from lightning_gen.runs.pages.record import ENDS_IN_DIMENSION, Logged

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
    """One thing that was looked at, what was seen and, unless it is fine, what to try; as HTML."""

    topic: str
    fine: bool
    text: str


def diagnose(logged: Logged) -> list[Finding]:
    """All that a run's numbers allow to say; what was not logged is not mentioned."""
    say: Any = environment().get_template("findings.html").module
    looks = (finite, overfitting, still_falling, collapse, codebook, diversity, players, distance)
    found = [
        Finding(topic, ok, str(text)) for look in looks for topic, ok, text in look(logged, say)
    ]
    return sorted(found, key=lambda finding: finding.fine)


Found = Iterator[tuple[str, bool, str]]
"""What a look gives, in the words of findings.html; nothing where too little was logged."""


def finite(logged: Logged, say: Any) -> Found:
    """Whether all losses are numbers."""
    losses = [c for c in logged.curves if c.endswith(("loss", "/reconstruction", "/kl"))]
    points = [(p.step, column, p.value) for column in losses for p in logged.curve(column)]
    broken = [point for point in points if not math.isfinite(point[2])]
    if broken:
        step, column, value = min(broken)
        yield "Numbers", False, say.not_finite(column, value, step, len(broken))
    elif losses:
        yield "Numbers", True, say.finite()


def overfitting(logged: Logged, say: Any) -> Found:
    """Whether the validation loss rose while training went on."""
    best, last = logged.least("val/loss"), logged.last("val/loss")
    few = len(logged.curve("val/loss")) < FEW
    if few or best is None or last is None or not math.isfinite(last.value):
        return
    rise = last.value - best.value
    fine = best.step >= SETTLED * last.step or rise <= NOTICEABLE * abs(best.value)
    words = say.settled if fine else say.overfitting
    yield "Overfitting", fine, words(best, last, _gap(logged, say))


def _gap(logged: Logged, say: Any) -> Any:
    """The last epoch's training against its validation, in the part that no weight changes."""
    name = "reconstruction" if logged.curve("train/reconstruction") else "loss"
    held_out = logged.last(f"val/{name}")
    train = [p for p in logged.curve(f"train/{name}") if held_out and p.epoch == held_out.epoch]
    if not train or held_out is None:
        return ""
    mean = sum(point.value for point in train) / len(train)
    known = math.isfinite(mean + held_out.value)
    return say.gap(name, mean, len(train), held_out.value) if known else ""


def still_falling(logged: Logged, say: Any) -> Found:
    """Whether the validation loss was still falling in the last fifth of the run."""
    points = [p for p in logged.curve("val/loss") if math.isfinite(p.value)]
    before = [p.value for p in points if p.step <= 0.8 * points[-1].step]
    if len(points) < 5 or not before:
        return
    fall = min(before) - min(point.value for point in points)
    if fall > NOTICEABLE * abs(min(before)):
        yield "Training time", False, say.still_falling(fall, points[-1].value)


def collapse(logged: Logged, say: Any) -> Found:
    """How much of the code a variational autoencoder uses."""
    kl = {
        name.removeprefix(ENDS_IN_DIMENSION).lstrip("0") or "0": points[-1].value
        for name, points in logged.curves.items()
        if name.startswith(ENDS_IN_DIMENSION)
    }
    active = logged.last("val/active_units")
    if not kl or active is None or not all(map(math.isfinite, kl.values())):
        return
    if active.value == 0:
        yield "Posterior collapse", False, say.collapse(0, kl)
        return
    most = sorted(kl, key=lambda name: kl[name], reverse=True)[:3]
    unused = [name for name, value in kl.items() if value < CARRIES_NOTHING]
    yield "Latent code", True, say.code(active.value, kl, most, unused, CARRIES_NOTHING)


def codebook(logged: Logged, say: Any) -> Found:
    """How many of its codes a model uses."""
    use, perplexity = logged.last("val/code_use"), logged.last("val/perplexity")
    if use is not None and perplexity is not None:
        fine = use.value >= WELL_USED
        words = say.codebook if fine else say.idle_codebook
        yield "Codebook", fine, words(use.value, perplexity.value)


def diversity(logged: Logged, say: Any) -> Found:
    """How much samples differ from each other."""
    last = logged.last("samples/diversity")
    if last is not None and last.value >= LOW:
        yield "Sample diversity", True, say.diverse(last.value)
    elif last is not None:
        yield "Mode collapse", False, say.mode_collapse(last.value)


def players(logged: Logged, say: Any) -> Found:
    """How often the discriminator of a GAN was right in the last tenth of the run."""
    points = logged.curve("train/discriminator_accuracy")
    late = [p.value for p in points if p.step >= 0.9 * points[-1].step]
    if late:
        accuracy = sum(late) / len(late)
        yield "Discriminator", accuracy < WON, say.players(accuracy, accuracy >= WON)


def distance(logged: Logged, say: Any) -> Found:
    """The best and the last distance of samples that was measured during training."""
    for column in logged.curves:
        best, last = logged.least(column), logged.last(column)
        if column.startswith("val/frechet_distance[") and best and last:
            yield "Distance of samples", True, say.distance(best, last)
