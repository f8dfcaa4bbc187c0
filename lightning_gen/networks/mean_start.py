"""A decoder that starts at the mean image."""

import torch
from torch import Tensor, nn


class MeanStart(nn.Linear):
    """A linear layer from features to pixels whose bias is the mean image before training begins.

    Biases move by about a learning rate a step, and those of pixels that are nearly always black
    have far to go.

    Attributes:
        started: whether the bias has been set or loaded.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.started = False
        self.register_load_state_dict_post_hook(_started)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def start(self, params: Tensor) -> None:
        """Make these the likelihood's parameters where all features are 0."""
        self.bias.copy_(params.flatten())
        self.started = True


def _started(module: MeanStart, incompatible_keys: object) -> None:
    """Torch calls it with what was loaded."""
    module.started = True
