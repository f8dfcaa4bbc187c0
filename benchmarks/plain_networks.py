"""Our networks as modules of torch alone, which pythae's process unpickles without our package."""

from copy import deepcopy

from torch import Tensor, nn


class Residual(nn.Module):
    """activation(x + residual(x)): ``lightning_gen.networks.residual.ResidualBlock``."""

    def __init__(self, residual: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.residual = residual
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """The block's output, of the shape of ``x``."""
        return self.activation(x + self.residual(x))


def plain(network: nn.Sequential) -> nn.Sequential:
    """A copy without any of our classes."""
    layers = deepcopy(network)
    for name, layer in network.named_children():
        if type(layer).__name__ == "ResidualBlock":
            setattr(layers, name, deepcopy(Residual(layer.residual, layer.activation)))
    for layer in layers.modules():
        if type(layer).__module__.partition(".")[0] not in ("torch", __name__):
            raise TypeError(f"{type(layer)} is no module of torch; port it here.")
    return layers
