"""The evidence lower bound on log p(x), and bounds with further terms."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lightning_gen.contracts import Codes, PerImage, Terms
from lightning_gen.errors import UserError, check_number
from lightning_gen.objectives.mmd import RBF, Kernel, maximum_mean_discrepancy
from lightning_gen.objectives.posterior import (
    DiagonalGaussian,
    LogLikelihood,
    importance_weighted_bound,
    kl_divergence,
)
from lightning_gen.objectives.total_correlation import minibatch_total_correlation
from lightning_gen.priors import VectorPrior
from lightning_gen.quantities import NATS, Quantity


def penalised(terms: Terms, penalties: Terms, quantities: Mapping[str, Quantity]) -> Terms:
    """The terms with penalties, which the loss has with their weights of ``quantities``."""
    loss = terms["loss"]
    for name, value in penalties.items():
        loss = loss + (quantities[name].weight or 0.0) * value
    return terms | {"loss": loss} | penalties


@dataclass(frozen=True)
class ELBO:
    """-ELBO = -log p(x|z) + beta KL(q(z|x) || p(z)), in nats per image (Kingma & Welling 2014).

    Warm-up and free bits act on the training loss alone. A bound with further terms derives from
    this and says their ``penalties``, or overrides the call.

    Args:
        beta: weight of the KL; 1 gives the bound, other values are Higgins et al. 2017.
        warmup_steps: training steps over which the weight grows linearly from 0 to beta
            (Bowman et al. 2016, Sonderby et al. 2016), or with a ``capacity`` this from 0.
        free_bits: nats of each dimension's batch-mean KL that cost nothing in training
            (Kingma et al. 2016, appendix C.8).
        capacity: nats that the KL is to have: beta weighs its distance |KL - capacity| (Burgess et
            al. 2018, whose beta is 1000); None lets it fall.
    """

    beta: float = 1.0
    warmup_steps: int = 0
    free_bits: float = 0.0
    capacity: float | None = None

    def __post_init__(self) -> None:
        for name, field in type(self).__dataclass_fields__.items():
            value, remedy = getattr(self, name), f"Set it to its default {field.default}."
            if not (isinstance(field.default, Kernel | bool) or value is field.default is None):
                check_number(f"{type(self).__name__}.{name}", value, 0, remedy)

    @classmethod
    def like(cls, other: "ELBO", **changed: Any) -> "ELBO":  # noqa: ANN401
        """An objective of this class with the weight and the aids of an ELBO; else a UserError."""
        if type(other) is not ELBO:
            raise UserError(
                f"this model makes a {cls.__name__} of the options of an ELBO, expected as "
                f"its objective, got {type(other).__name__}. Choose VAE for another objective."
            )
        return cls(**vars(other) | changed)

    @property
    def quantities(self) -> dict[str, Quantity]:
        """The terms that this class adds, and the KL, with their weights in evaluation."""
        return {"kl": Quantity(NATS, weight=self.beta)}

    def __call__(
        self,
        log_likelihood: LogLikelihood,
        posterior: DiagonalGaussian,
        prior: VectorPrior,
        training_step: int | None = None,
    ) -> Terms:
        """The loss of a batch and its parts, from one draw of the posterior of each image.

        ``training_step`` is the number of training steps done, None in evaluation.
        """
        codes = posterior.sample()
        kl = kl_divergence(posterior, prior, codes)
        bound = self.bound(log_likelihood(codes), kl, training_step)
        return penalised(bound, self.penalties(codes, posterior, prior), self.quantities)

    def penalties(self, codes: Codes, posterior: DiagonalGaussian, prior: VectorPrior) -> Terms:
        """What is added to the bound, with the weights of ``quantities``."""
        return {}

    def bound(
        self, log_likelihood: PerImage, kl: Float[Tensor, "n d"], training_step: int | None = None
    ) -> Terms:
        """The loss, and the means of -log p(x|z) and of the KL, which sums its dimensions."""
        reconstruction = -log_likelihood.mean()
        loss = reconstruction + self.cost(kl, training_step)
        return {"loss": loss, "reconstruction": reconstruction, "kl": kl.mean(dim=0).sum()}

    def cost(self, kl: Float[Tensor, "n d"], training_step: int | None) -> Float[Tensor, ""]:
        """What the KL of each latent dimension adds to the loss, in nats per image."""
        mean = kl.mean(dim=0)
        if training_step is not None and self.free_bits:
            mean = mean.clamp(min=self.free_bits)
        if self.capacity is None:
            return self.beta * self.warmth(training_step) * mean.sum()
        return self.beta * (mean.sum() - self.warmth(training_step) * self.capacity).abs()

    def warmth(self, training_step: int | None) -> float:
        """How far the warm-up is at a step of the training, from 0 to 1; 1 in evaluation."""
        if training_step is None or not self.warmup_steps:
            return 1.0
        return min(1.0, training_step / self.warmup_steps)


@dataclass(frozen=True)
class TotalCorrelation(ELBO):
    """-ELBO + weight * total correlation of the codes, estimated from the batch (Chen et al. 2018).

    The KL has the total correlation in it once: a ``weight`` of beta - 1 weighs it by beta.
    """

    weight: float = 5.0

    @property
    def quantities(self) -> dict[str, Quantity]:
        """Also the total correlation."""
        return super().quantities | {"total_correlation": Quantity(NATS, weight=self.weight)}

    def penalties(self, codes: Codes, posterior: DiagonalGaussian, prior: VectorPrior) -> Terms:
        """The total correlation, in nats."""
        return {"total_correlation": minibatch_total_correlation(codes, posterior)}


@dataclass(frozen=True)
class DIP(ELBO):
    """-ELBO + penalties on the covariance C of the codes (Kumar, Sattigeri & Balakrishnan 2018).

    off_diagonal * sum_{i != j} C_ij^2 + diagonal * sum_i (C_ii - 1)^2, within a batch, of the
    posterior means (DIP-VAE-I) or of codes, whose covariance also has the mean variance of the
    posteriors (DIP-VAE-II).

    Args:
        off_diagonal: nats per image for each unit of the first sum.
        diagonal: nats per image for each unit of the second.
        of_codes: the covariance is that of codes.
    """

    off_diagonal: float = 10.0
    diagonal: float = 100.0
    of_codes: bool = False

    @property
    def quantities(self) -> dict[str, Quantity]:
        """Also both penalties."""
        weights = {"off_diagonal": self.off_diagonal, "diagonal": self.diagonal}
        return super().quantities | {k: Quantity(weight=v) for k, v in weights.items()}

    def penalties(self, codes: Codes, posterior: DiagonalGaussian, prior: VectorPrior) -> Terms:
        """How far the covariance is from the identity, squared."""
        centred = posterior.mean - posterior.mean.mean(dim=0)
        with torch.autocast(centred.device.type, enabled=False):
            covariance = centred.T @ centred / len(centred)
        if self.of_codes:
            covariance = covariance + posterior.log_var.exp().mean(dim=0).diag()
        variances = covariance.diagonal()
        return {
            "off_diagonal": (covariance - variances.diag()).square().sum(),
            "diagonal": (variances - 1).square().sum(),
        }


@dataclass(frozen=True)
class MMD(ELBO):
    """-ELBO + weight * MMD(q(z), p(z)), of one draw an image, within a batch (Zhao et al. 2019).

    Args:
        weight: nats per image for each unit of the MMD.
        kernel: of the MMD.
    """

    weight: float = 100.0
    kernel: Kernel = RBF()  # noqa: RUF009  (frozen)

    @property
    def quantities(self) -> dict[str, Quantity]:
        """Also the MMD."""
        return super().quantities | {"mmd": Quantity(weight=self.weight)}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.kernel, Kernel):
            raise UserError(f"MMD.kernel is a kernel, got {self.kernel!r}. Set it to RBF().")

    def penalties(self, codes: Codes, posterior: DiagonalGaussian, prior: VectorPrior) -> Terms:
        """The MMD, against as many draws of the prior."""
        return {"mmd": maximum_mean_discrepancy(codes, prior.like(codes), self.kernel)}


@dataclass(frozen=True)
class ImportanceWeighted(ELBO):
    """-L_k, the importance-weighted bound on log p(x) (Burda, Grosse & Salakhutdinov 2016).

    beta weighs log p(z) - log q(z|x) in each weight. The other aids add what they add to the KL of
    an ELBO, which is exact in expectation for k = 1. The gradient of the encoder is the noisier the
    larger k is; Rainforth et al. 2018 (arXiv:1802.04537) average several bounds (MIWAE), or the
    bound and the ELBO (CIWAE), or do so for the encoder alone (PIWAE).

    Args:
        num_samples: k, draws an image of each bound; time and memory of the decoder grow with it.
        num_bounds: how many bounds, each of k draws, are averaged.
        elbo_share: what part of the loss the ELBO has, from 0 to 1; the rest is the bound's.
        encoder_only: the average is for the encoder; decoder and prior have the one bound of all
            draws, which is the loss that is logged.
    """

    num_samples: int = 5
    num_bounds: int = 1
    elbo_share: float = 0.0
    encoder_only: bool = False

    @property
    def quantities(self) -> dict[str, Quantity]:
        """The bound of one draw beside that of k."""
        return {"negative_elbo": Quantity(NATS, "lower", "likelihood")}

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, usual in (("num_samples", 5), ("num_bounds", 1)):
            if (count := getattr(self, name)) < 1 or not isinstance(count, int):
                raise UserError(
                    f"ImportanceWeighted.{name} is a whole number, at least 1, got {count}. Set it "
                    f"to {usual}."
                )
        if self.elbo_share > 1:
            raise UserError(
                f"ImportanceWeighted.elbo_share is from 0 to 1, got {self.elbo_share}. Set it to 0."
            )

    def __call__(
        self,
        log_likelihood: LogLikelihood,
        posterior: DiagonalGaussian,
        prior: VectorPrior,
        training_step: int | None = None,
    ) -> Terms:
        """-L_k, or its mean with others, and -L_1, from the same draws."""
        draws = posterior.repeated(self.num_bounds * self.num_samples)
        codes = draws.sample()
        seen = codes.detach().requires_grad_() if self.encoder_only else codes
        inferred = draws.log_prob(codes)
        fit, ratio = log_likelihood(seen), prior.log_prob(seen) - inferred
        weight = self.beta * (self.warmth(training_step) if self.capacity is None else 1)
        log_weights = fit + weight * ratio
        if self.encoder_only:
            loss = -self._separate(log_weights, codes, seen, weight * inferred)
        else:
            loss = -self._averaged(log_weights)
        if self.free_bits or self.capacity is not None:
            kl = kl_divergence(posterior, prior)
            loss = loss + self.cost(kl, training_step) - weight * kl.mean(dim=0).sum()
        return {"loss": loss, "negative_elbo": -(fit + ratio).mean()}

    def _averaged(self, log_weights: PerImage) -> Float[Tensor, ""]:
        """The mean of the bounds, and of the ELBO, from all draws of all images."""
        bound = importance_weighted_bound(log_weights.view(self.num_samples, -1)).mean()
        return (1 - self.elbo_share) * bound + self.elbo_share * log_weights.mean()

    def _separate(
        self,
        log_weights: Float[Tensor, " m"],
        codes: Float[Tensor, "m d"],
        seen: Float[Tensor, "m d"],
        inferred: Float[Tensor, " m"],
    ) -> Float[Tensor, ""]:
        """The bound of all draws, whose gradient for the encoder is that of the averages.

        ``seen`` are the codes without their gradient, ``inferred`` is the part of log q(z|x).
        """
        of_decoder = log_weights + inferred - inferred.detach()
        draws = self.num_bounds * self.num_samples
        bound = importance_weighted_bound(of_decoder.view(draws, -1)).mean()
        if not bound.requires_grad:
            return bound
        (slope,) = torch.autograd.grad(of_decoder.sum(), seen, retain_graph=True)
        moved = (slope * (codes - seen.detach())).sum(dim=1)  # 0, with the gradient of the codes
        average = self._averaged(log_weights.detach() + moved + inferred.detach() - inferred)
        return bound + average - average.detach()
