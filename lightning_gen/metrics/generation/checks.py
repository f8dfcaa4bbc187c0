"""What every score asks of the features that it receives."""

from jaxtyping import Float
from torch import Tensor

from lightning_gen.errors import UserError


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
