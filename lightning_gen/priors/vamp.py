"""The variational mixture of posteriors."""

import math
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import nn

from lightning_gen.contracts import Codes, PerImage, Posterior
from lightning_gen.errors import UserError, check_whole
from lightning_gen.priors.prior import VectorPrior, widest


@dataclass(eq=False)
class VampPrior(VectorPrior):
    """p(z) = 1/K sum_k q(z|u_k), of learned images u_k (Tomczak & Welling 2018, arXiv:1705.07120).

    Its components are the posteriors of pseudo-inputs, which start at training images. A batch
    normalisation of the encoder sees them as it sees images.

    Args:
        components: K, how many pseudo-inputs.
    """

    components: int = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        self.pseudo_inputs: nn.Parameter
        self.started = False  # or loaded
        self.register_load_state_dict_post_hook(_started)  # type: ignore[no-untyped-call]
        check_whole("VampPrior.components", self.components, 1)

    def of(self, model: Any) -> Self:  # noqa: ANN401
        """A copy for a model with a Gaussian posterior of images; a UserError at another one."""
        if getattr(model, "posterior", None) is None:
            raise UserError(
                f"VampPrior is a mixture of posteriors of images, and {type(model).__name__} has "
                "none of images alone. Choose GaussianMixture or NormalizingFlow."
            )
        copy = super().of(model)
        copy.infer = model.posterior
        copy.pseudo_inputs = nn.Parameter(torch.randn(self.components, *model.image_shape))
        return copy

    @torch.no_grad()
    def start(self, data: object) -> None:
        """Begin at random training images, where the ``data`` have a batch of them."""
        if hasattr(data, "batch") and not self.started:
            images = data.batch("train", self.components).images.to(self.pseudo_inputs)
            self.pseudo_inputs[: len(images)] = images.logit(0.01)
            self.started = True

    def fit(self, codes: Codes, per_image: int = 1) -> Self:
        """A UserError: it is a part of the training."""
        raise UserError(
            "a VampPrior is trained with its model, as model.prior. Fit a GaussianMixture or a "
            "NormalizingFlow to the codes of a finished one."
        )

    def sample(self, n: int, temperature: float = 1.0) -> Codes:
        """``n`` draws: a pseudo-input, then a draw of its posterior."""
        with torch.no_grad():
            found = self._components()
            chosen = torch.randint(self.components, (n,), device=found.mean.device)
            noise = temperature * torch.randn(n, self.latent_dim, device=found.mean.device)
            return found.mean[chosen] + (0.5 * found.log_var[chosen]).exp() * noise

    def log_prob(self, codes: Codes) -> PerImage:
        """Log p(z) of each code."""
        # ||z - m||^2 as z^2 - 2 z m + m^2, by products of matrices: in float64, since they cancel.
        wide = widest(codes)
        found = self._components()
        centre = found.mean.mean(dim=0)
        codes, mean = (codes - centre).to(wide), (found.mean - centre).to(wide)
        log_var = found.log_var.to(wide)
        precision = torch.exp(-log_var)
        squared = codes.square() @ precision.T - 2 * codes @ (mean * precision).T
        squared = squared + (mean.square() * precision).sum(dim=1)
        constant = log_var.sum(dim=1) + self.latent_dim * math.log(2 * math.pi)
        log_densities = -0.5 * (squared + constant)
        return (torch.logsumexp(log_densities, dim=1) - math.log(self.components)).float()

    def _components(self) -> Posterior:
        infer: Any = self.infer
        found: Posterior = infer(self.pseudo_inputs.sigmoid())
        return found


def _started(prior: VampPrior, incompatible_keys: object) -> None:
    """Torch calls it with what was loaded."""
    prior.started = True
