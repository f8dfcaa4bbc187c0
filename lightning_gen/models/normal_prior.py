"""A standard normal prior of codes."""

from abc import abstractmethod

import torch
from lightning.pytorch import LightningModule

from lightning_gen.contracts import Codes, Images


class NormalPrior(LightningModule):
    """p(z) = N(0, I), for a model that decodes codes of length ``latent_dim``."""

    latent_dim: int

    @abstractmethod
    def decode(self, codes: Codes) -> Images:
        """Images [N, C, H, W] of codes [N, D]."""

    def sample_codes(self, n: int) -> Codes:
        """``n`` draws [N, D] of the prior."""
        return torch.randn(n, self.latent_dim, device=self.device).to(self.dtype)

    def sample(self, n: int) -> Images:
        """``n`` images decoded from draws of the prior."""
        return self.decode(self.sample_codes(n))
