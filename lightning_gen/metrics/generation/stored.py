"""Features of images: what the scores ask of them, and all of them kept."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from lightning_gen.errors import UserError
from lightning_gen.metrics.estimate import Measure


class StoredFeatures(Measure):
    """Keeps the features of all images, in float32.

    The memory is 4 D bytes an image on its own process, and 4 D bytes for each image of all
    processes while the score is computed: 41 MB for 10,000 real and 10,000 generated images of
    D = 512.
    """

    real: list[Tensor]
    generated: list[Tensor]
    width: Int[Tensor, ""]

    def __init__(self) -> None:
        super().__init__()
        # Flat, so that a process without images can join the others without knowing the width.
        self.add_state("real", [], dist_reduce_fx="cat")
        self.add_state("generated", [], dist_reduce_fx="cat")
        self.add_state("width", torch.tensor(0), dist_reduce_fx="max")

    def update(self, features: Float[Tensor, "n d"], real: bool) -> None:
        """Add the features of a batch of real or of generated images."""
        width = int(self.width) or features.shape[1]
        check_features(type(self).__name__, features, width)
        self.width.fill_(width)
        (self.real if real else self.generated).append(features.detach().float().flatten().clone())

    def features(self, at_least: int, remedy: str) -> tuple[Tensor, Tensor]:
        """All real and all generated features [N, D]; refuses fewer images than ``at_least``.

        On all ranks, inside ``compute``.
        """
        width = max(1, int(self.width))
        real, generated = (
            dim_zero_cat(kept).reshape(-1, width) if len(kept) else torch.empty(0, width)
            for kept in (self.real, self.generated)
        )
        check_images(type(self).__name__, len(real), len(generated), at_least, remedy)
        return real, generated


def check_features(metric: str, features: Float[Tensor, "n d"], width: int) -> None:
    """Refuse features of another width and features that are not finite."""
    if features.shape[1] != width:
        raise UserError(
            f"{metric} needs {width} features an image, as before, got {features.shape[1]}. "
            "Take real and generated features from one extractor."
        )
    if not features.isfinite().all():
        raise UserError(
            f"{metric} needs finite features, got some that are infinite or nan. "
            "Look whether the model has diverged."
        )


def check_images(metric: str, real: int, generated: int, at_least: int, remedy: str) -> None:
    """Refuse too few images; ``remedy`` is the last sentence of the message."""
    if min(real, generated) < at_least:
        raise UserError(
            f"{metric} needs {at_least} or more real and generated images, "
            f"got {real} real and {generated} generated. {remedy}"
        )
