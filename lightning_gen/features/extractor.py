"""What an extractor promises: the features, and what a reader must know to compare scores."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lightning_gen.contracts import Images

Features = Float[Tensor, "n d"]


class Extractor(nn.Module, ABC):
    """A frozen network from images [N, C, H, W] in [0, 1] to features [N, D], in float32.

    Attributes:
        feature_dim: D.
        name: stands in the name of every score, such as ``frechet_distance[name]``.
        sha256: of the file of weights.
        resize: what is done to an image of another size, in words.
    """

    feature_dim: int
    name: str
    sha256: str
    resize: str

    @abstractmethod
    def features(self, images: Images) -> Features:
        """Features of a batch; a UserError for a size or channels that it does not know."""

    def score_name(self, score: str) -> str:
        """The name of a score in these features."""
        return f"{score}[{self.name}]"

    @torch.no_grad()
    def forward(self, images: Images) -> Features:
        """:meth:`features`, in evaluation mode and without autocast."""
        self.eval()
        with torch.autocast(images.device.type, enabled=False):
            return self.features(images.float())
