"""A mixture of Gaussians."""

import math
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch
from jaxtyping import Int
from torch import Tensor, nn

from lightning_gen.contracts import Codes, PerImage
from lightning_gen.errors import UserError, check_whole
from lightning_gen.priors.prior import VectorPrior, split_codes, standardised, widest

CHOICES = (1, 3, 10, 30, 100)
"""Numbers of components that are tried where none is asked for."""
LONG = 256
"""Numbers of a code for which a full covariance is estimated by default, at most."""
MOST = 20_000
"""Codes that a fit looks at: more take longer and find the same."""
MANY = 2**24
"""Numbers in memory at once, about 64 MB."""


@dataclass(eq=False)
class GaussianMixture(VectorPrior):
    """p(z) = sum_k w_k N(z; m_k, S_k) (Ghosh et al. 2020, arXiv:1903.12436, fit one to codes).

    :meth:`fit` is scikit-learn's expectation-maximisation. Trained with a model, weights, means and
    covariances are parameters, which start at N(0, I) with means drawn from it.

    Args:
        components: how many Gaussians; None takes that of 1, 3, 10, 30, 100 by which held-out codes
            are the likeliest.
        covariance: "full" or "diagonal"; None takes the second for codes longer than 256.
    """

    components: int | None = None
    covariance: Literal["full", "diagonal"] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.components is not None:
            check_whole("GaussianMixture.components", self.components, 1)
        if self.covariance not in ("full", "diagonal", None):
            raise UserError(
                f'GaussianMixture.covariance is "full" or "diagonal", got {self.covariance!r}.'
            )

    def build(self, latent_dim: int) -> None:
        """Make the parameters for codes of this length."""
        if self.components is None:
            raise UserError(
                "GaussianMixture.components is chosen by a fit alone. Set it to 50 to train the "
                "mixture with a model."
            )
        super().build(latent_dim)
        self.covariance = self._covariance(latent_dim)
        shape = self.components, latent_dim
        self.logits = nn.Parameter(torch.zeros(self.components))
        self.means = nn.Parameter(torch.randn(shape))
        # Of the Cholesky factor P of each inverse covariance, P P^T = S^-1: upper triangular.
        self.log_diagonal = nn.Parameter(torch.zeros(shape))
        if self.covariance == "full":
            self.upper = nn.Parameter(torch.zeros(*shape, latent_dim))

    def fit(self, codes: Codes, per_image: int = 1) -> Self:
        """Expectation-maximisation, on standardised codes."""
        from sklearn.mixture import GaussianMixture as Mixture

        seen, held = split_codes(codes.float().cpu(), per_image)
        seen = seen[:MOST]
        shift, scale = standardised(seen)
        seen, held = (seen - shift) / scale, (held - shift) / scale
        kind = "full" if self._covariance(codes.shape[1]) == "full" else "diag"
        best, best_score = None, -math.inf
        for count in [self.components] if self.components else CHOICES:
            if count > len(seen) // 10:
                break
            found = Mixture(count, covariance_type=kind, reg_covar=1e-4, tol=0.01, random_state=0)
            score = found.fit(seen.numpy()).score(held.numpy())
            if score > best_score:
                best, best_score = found, score
        if best is None:
            raise UserError(
                f"a mixture of {self.components or 1} Gaussians is fitted to ten finite codes or "
                f"more for each, got {len(seen)} codes. Fit fewer components."
            )
        self._keep(best, shift, scale)
        return self

    def _covariance(self, latent_dim: int) -> Literal["full", "diagonal"]:
        return self.covariance or ("full" if latent_dim <= LONG else "diagonal")

    @torch.no_grad()
    def _keep(self, found: Any, shift: Tensor, scale: Tensor) -> None:  # noqa: ANN401
        """Take the parameters of scikit-learn's mixture of standardised codes."""
        self.components = len(found.weights_)
        self.build(len(shift))
        self.logits.copy_(torch.from_numpy(found.weights_).log())
        self.means.copy_(torch.from_numpy(found.means_) * scale + shift)
        factors = torch.from_numpy(found.precisions_cholesky_).float()
        if self.covariance == "full":
            factors = factors / scale[:, None]
            self.upper.copy_(factors.triu(1))
            self.log_diagonal.copy_(factors.diagonal(dim1=1, dim2=2).log())
        else:
            self.log_diagonal.copy_((factors / scale).log())
        self.requires_grad_(False)

    def sample(self, n: int, temperature: float = 1.0) -> Codes:
        """``n`` draws: a component by its weight, then its mean and scaled noise."""
        with torch.no_grad():
            chosen = self.logits.float().softmax(dim=0).multinomial(max(n, 1), replacement=True)[:n]
            noise = temperature * torch.randn(n, self.latent_dim, device=self.means.device)
            return self.means.float()[chosen] + self.spread(noise, chosen)

    def spread(self, noise: Codes, chosen: Int[Tensor, " n"]) -> Codes:
        """Noise y of N(0, I) as y P^-1, which has the covariance of each one's component."""
        diagonal = self.log_diagonal.float().exp()
        if self.covariance == "diagonal":
            return noise / diagonal[chosen]
        spread = torch.empty_like(noise)
        for component in chosen.unique():  # type: ignore[no-untyped-call]
            mine = chosen == component
            factor = self.upper[component].float().triu(1) + diagonal[component].diag()
            spread[mine] = torch.linalg.solve_triangular(
                factor, noise[mine], upper=True, left=False
            )
        return spread

    def log_prob(self, codes: Codes) -> PerImage:
        """Log p(z) of each code."""
        rows = max(1, MANY // self.means.numel())
        return torch.cat([self._log_prob(part) for part in torch.split(codes.float(), rows)])

    def _log_prob(self, codes: Codes) -> PerImage:
        wide = widest(codes)
        away = (codes - self.means.float()[:, None]).to(wide)
        log_diagonal = self.log_diagonal.to(wide)
        if self.covariance == "diagonal":
            white = away * log_diagonal.exp()[:, None]
        else:
            factors = self.upper.to(wide).triu(1) + log_diagonal.exp().diag_embed()
            white = away @ factors
        constant = log_diagonal.sum(dim=1) - 0.5 * self.latent_dim * math.log(2 * math.pi)
        log_weights = self.logits.to(wide).log_softmax(dim=0) + constant
        log_densities = log_weights[:, None] - 0.5 * white.square().sum(dim=2)
        return torch.logsumexp(log_densities, dim=0).float()
