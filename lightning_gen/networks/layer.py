"""Layers of a class that the user chooses."""

from torch import nn

from lightning_gen.errors import UserError


def layer(kind: type[nn.Module], *arguments: int) -> nn.Module:
    """An activation, or with a number of channels a normalization.

    Raises:
        UserError: the class cannot be built so.
    """
    try:
        if kind.forward is nn.Module.forward:
            raise TypeError("it computes nothing of a tensor")
        return kind(*arguments)
    except (TypeError, ValueError) as error:
        built = f"{kind.__name__}({', '.join(map(str, arguments))})"
        raise UserError(
            f"{built} cannot be built: {error}. An activation is a class such as torch.nn.ReLU, "
            "which needs no arguments, a normalization one such as torch.nn.BatchNorm2d, which "
            "needs the number of channels."
        ) from error
