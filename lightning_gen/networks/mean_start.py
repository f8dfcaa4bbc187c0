"""A decoder that starts at the mean image."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lightning_gen.errors import UserError


class MeanStart(nn.Linear):
    """A linear layer from features to pixels whose bias is the mean image before training begins.

    Biases move by about a learning rate a step, and those of pixels that are nearly always black
    have far to go.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.started = False  # or loaded
        self.register_load_state_dict_post_hook(_started)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def start(self, params: Tensor) -> None:
        """Make these the likelihood's parameters where all features are 0."""
        self.bias.copy_(params.flatten())
        self.started = True


def start_at_mean(decoder: nn.Module, data: object, params: Callable[[Tensor], Tensor]) -> None:
    """Start every MeanStart of a decoder that has no weights yet at the mean of the ``data``.

    That is ``data.mean_image()`` [C, H, W]; ``params`` gives the likelihood's parameters of images.
    """
    layers = [layer for layer in decoder.modules() if isinstance(layer, MeanStart)]
    if all(layer.started for layer in layers):
        return
    mean_image = getattr(data, "mean_image", None)
    if mean_image is None:
        raise UserError(
            "architecture.start_at_mean takes the mean of an ImageDataModule's training images, "
            f"got {type(data).__name__}. Train on an ImageDataModule, or leave it out."
        )
    for layer in layers:
        layer.start(params(mean_image()[None]))


def _started(module: MeanStart, incompatible_keys: object) -> None:
    """Torch calls it with what was loaded."""
    module.started = True
