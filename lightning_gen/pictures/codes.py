"""Codes of images, and what is known of each image."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from lightning_gen.contracts import Batch, Codes, Infers, SamplesCodes, condition_on
from lightning_gen.priors import StandardNormal

DRAWS = 10_000
"""Codes whose spread is taken for that of a prior."""


class LabelledCodes(NamedTuple):
    """Codes in float32 on the CPU with the labels and factors of their images.

    ``kl`` is in nats, of each posterior in each of its K dimensions; K = 0 without a posterior, and
    where the prior is not N(0, I).
    """

    codes: Codes
    labels: Int[Tensor, " n"]
    factors: Shaped[Tensor, "n f"]
    kl: Float[Tensor, "n k"]

    def first(self, n: int) -> "LabelledCodes":
        """Those of the first ``n`` images."""
        return LabelledCodes(*(part[:n] for part in self))


def unlabelled(codes: Codes) -> LabelledCodes:
    """Codes of no images, such as draws of the prior."""
    nothing = torch.empty(len(codes), 0)
    return LabelledCodes(codes.float().cpu(), torch.zeros(len(codes)).long(), nothing, nothing)


def codes_of(model: object, batch: Batch) -> LabelledCodes:
    """The codes of a batch."""
    knowing: Any = condition_on(model, batch)
    codes = knowing.encode(batch.images)
    kl = torch.empty(len(codes), 0)
    if isinstance(knowing, Infers) and has_normal_prior(model):
        posterior = knowing.posterior(batch.images)
        mean, log_var = posterior.mean.float(), posterior.log_var.float()
        kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var)
    return LabelledCodes(codes.float().cpu(), batch.labels.cpu(), batch.factors.cpu(), kl.cpu())


def join(parts: Sequence[LabelledCodes]) -> LabelledCodes:
    """The codes of several batches."""
    return LabelledCodes(*(torch.cat(pieces) for pieces in zip(*parts, strict=True)))


def without_condition(model: object, codes: LabelledCodes) -> LabelledCodes:
    """The codes without the condition at the end of each."""
    return codes._replace(codes=codes.codes[:, : free_dimensions(model, codes.codes)])


def free_dimensions(model: object, codes: Codes) -> int:
    """How many entries of a code are the model's own: what follows them is a condition."""
    return model.latent_dim if isinstance(model, SamplesCodes) else codes.shape[1]


def has_normal_prior(model: object) -> bool:
    """Whether nothing else than p(z) = N(0, I) is known of a model's prior."""
    return isinstance(getattr(model, "prior", None), StandardNormal | None)


def draws_of_prior(model: object) -> Codes | None:
    """Codes from a model's prior, to see its spread; None of N(0, I), and without a prior."""
    if has_normal_prior(model) or not isinstance(model, SamplesCodes):
        return None
    return model.sample_codes(DRAWS)[:, : model.latent_dim].float().cpu()


def device_of(model: object) -> torch.device:
    """Where a model computes; that of models without parameters is the processor."""
    device: torch.device = getattr(model, "device", torch.device("cpu"))
    return device
