"""The evidence lower bound, with the weight and the training aids that people put on its KL."""

from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from lightning_gen.errors import UserError


class ELBOTerms(NamedTuple):
    """Means over a batch, in nats per image: loss = reconstruction + beta * kl in evaluation."""

    loss: Float[Tensor, ""]
    reconstruction: Float[Tensor, ""]
    kl: Float[Tensor, ""]


@dataclass(frozen=True)
class ELBO:
    """-ELBO = -log p(x|z) + beta KL(q(z|x) || p(z)), in nats per image (Kingma & Welling 2014).

    Warm-up and free bits act on the training loss alone: validation and test always report
    reconstruction + beta * kl, so that the best checkpoint is not the one of a small early weight.

    Args:
        beta: weight of the KL; 1 gives the bound, other values are Higgins et al. 2017.
        warmup_steps: training steps over which the weight grows linearly from 0 to beta
            (Bowman et al. 2016, Sonderby et al. 2016).
        free_bits: nats of each dimension's batch-mean KL that cost nothing in training
            (Kingma et al. 2016, appendix C.8).
    """

    beta: float = 1.0
    warmup_steps: int = 0
    free_bits: float = 0.0

    def __post_init__(self) -> None:
        for name, unit in (("beta", "weight"), ("warmup_steps", "number"), ("free_bits", "number")):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise UserError(
                    f"{name} is a finite {unit} of at least 0, got {value}. "
                    f"Set {name} to its default {type(self).__dataclass_fields__[name].default}."
                )

    def __call__(
        self,
        log_likelihood: Float[Tensor, " n"],
        kl: Float[Tensor, "n d"],
        training_step: int | None = None,
    ) -> ELBOTerms:
        """The terms for a batch.

        Args:
            log_likelihood: log p(x|z) of each image, in nats.
            kl: KL of each latent dimension of each image, in nats.
            training_step: number of training steps done; None in evaluation.
        """
        reconstruction = -log_likelihood.mean()
        kl_per_dimension = kl.mean(dim=0)
        mean_kl = kl_per_dimension.sum()
        if training_step is None:
            return ELBOTerms(reconstruction + self.beta * mean_kl, reconstruction, mean_kl)
        weight = self.beta
        if self.warmup_steps:
            weight *= min(1.0, training_step / self.warmup_steps)
        paid = kl_per_dimension.clamp(min=self.free_bits).sum() if self.free_bits else mean_kl
        return ELBOTerms(reconstruction + weight * paid, reconstruction, mean_kl)
