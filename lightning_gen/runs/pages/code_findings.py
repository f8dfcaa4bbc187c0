"""What a run's codes and samples say about its training, in words."""

import math

from lightning_gen.callbacks.sample_diversity import LOW
from lightning_gen.runs.pages.finding import Finding
from lightning_gen.runs.pages.logged import ENDS_IN_DIMENSION, Logged, Point, number

CARRIES_NOTHING = 0.01
"""Nats per image under which a latent dimension tells nothing of an image."""

WELL_USED = 0.5
"""The share of a codebook that a healthy model uses."""


def collapse(logged: Logged) -> Finding | None:
    """How much of the code a variational autoencoder uses."""
    names = [name for name in logged.columns if name.startswith(ENDS_IN_DIMENSION)]
    kl = {n.removeprefix(ENDS_IN_DIMENSION): p for n in names if (p := logged.last(n))}
    active = logged.last("val/active_units")
    if not kl or active is None or not all(math.isfinite(p.value) for p in kl.values()):
        return None
    total = sum(point.value for point in kl.values())
    seen = (
        f"{active.value:.0f} of {len(kl)} latent dimensions are active, with a KL of "
        f"{number(total)} nats per image in all"
    )
    if active.value == 0:
        return Finding(
            "Posterior collapse",
            False,
            f"The posterior has collapsed: {seen}. The decoder ignores the code. Try "
            "objective.warmup_steps, objective.free_bits or a smaller beta.",
        )
    return Finding("Latent code", True, f"{seen}.{_by_dimension(kl)}")


def _by_dimension(kl: dict[str, Point]) -> str:
    order = sorted(kl, key=lambda name: kl[name].value, reverse=True)
    most = ", ".join(f"{kl[name].value:.2f} (dimension {int(name)})" for name in order[:3])
    unused = [int(n) for n in kl if kl[n].value < CARRIES_NOTHING]
    text = f" The most is carried by {most}, counted from 0."
    if unused:
        shown = ", ".join(map(str, unused[:10])) + (", ..." if len(unused) > 10 else "")
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
    tip = " Try a larger codebook.restart_below, or a smaller codebook.size."
    return Finding("Codebook", False, f"Much of the codebook lies idle: {seen}{tip}")


def diversity(logged: Logged) -> Finding | None:
    """How much samples differ from each other."""
    last = logged.last("samples/diversity")
    if last is None:
        return None
    seen = (
        f"samples differ from each other {last.value:.2f} times as much as real images do "
        "(mean distance in pixels)"
    )
    if last.value < LOW:
        return Finding(
            "Mode collapse",
            False,
            f"The {seen}: nearly the same image comes from any noise. Try a penalty on the "
            "discriminator, a lower learning rate or another seed.",
        )
    return Finding(
        "Sample diversity", True, f"The {seen}. That shows no collapse; noise would be diverse too."
    )
