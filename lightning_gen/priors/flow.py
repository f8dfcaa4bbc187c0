"""A normalizing flow."""

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from lightning_gen.contracts import Codes, PerImage
from lightning_gen.errors import check_whole
from lightning_gen.priors.prior import VectorPrior, fit_by_gradient, standardised


@dataclass(eq=False)
class NormalizingFlow(VectorPrior):
    """A neural spline flow with coupling layers (Durkan et al. 2019, arXiv:1906.04032), by zuko.

    N(0, I) through invertible transforms, so that its log-density is exact.

    Args:
        transforms: how many.
        hidden: units of each hidden layer of the network of a transform.
        bins: of each spline.
        epochs: of a fit to the codes of a finished model.
    """

    transforms: int = 4
    hidden: tuple[int, ...] = (128, 128)
    bins: int = 8
    epochs: int = 30

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("transforms", "bins", "epochs"):
            check_whole(f"NormalizingFlow.{name}", getattr(self, name), 1)
        for width in self.hidden:
            check_whole("NormalizingFlow.hidden", width, 1)

    def build(self, latent_dim: int) -> None:
        """Make the parameters for codes of this length."""
        from zuko.flows import NSF

        super().build(latent_dim)
        self.flow = NSF(
            latent_dim,
            bins=self.bins,
            transforms=self.transforms,
            passes=2,  # coupling: as fast to draw from as to evaluate
            randperm=True,
            hidden_features=self.hidden,
        )
        self.shift: Tensor
        self.scale: Tensor
        self.register_buffer("shift", torch.zeros(latent_dim))
        self.register_buffer("scale", torch.ones(latent_dim))

    def fit(self, codes: Codes, per_image: int = 1) -> Self:
        """Maximise the log-density of codes, standardised, since a spline is one from -5 to 5."""
        codes = codes.float()
        self.build(codes.shape[1])
        self.to(codes.device)
        mean, std = standardised(codes)
        self.shift.copy_(mean)
        self.scale.copy_(std)
        fit_by_gradient(self, codes, per_image, self.epochs, 512, 5e-3)
        return self

    def sample(self, n: int, temperature: float = 1.0) -> Codes:
        """``n`` draws: noise of the standard deviation ``temperature``, transformed."""
        noise = temperature * torch.randn(n, self.latent_dim, device=self.shift.device)
        with torch.no_grad(), self._precise(noise):
            white: Codes = self.flow().transform.inv(noise)
            return white * self.scale + self.shift

    def log_prob(self, codes: Codes) -> PerImage:
        """Log p(z) of each code."""
        with self._precise(codes):
            white = (codes.float() - self.shift) / self.scale
            found: PerImage = self.flow().log_prob(white) - self.scale.log().sum()
            return found

    @staticmethod
    def _precise(codes: Tensor) -> Any:  # noqa: ANN401  (torch's context)
        return torch.autocast(codes.device.type, enabled=False)
