"""What a dataset tells the model that is trained on it."""

from collections.abc import Callable

from lightning.pytorch import LightningDataModule

from lightning_gen.contracts import DataInfo, info_of
from lightning_gen.errors import UserError
from lightning_gen.hyperparameters import Plain, plain
from lightning_gen.parts import parameters


def require_info(data: LightningDataModule) -> DataInfo:
    """What a datamodule says of its images; a UserError where it does not."""
    info = info_of(data)
    if info is None:
        raise UserError(
            "a datamodule says what it holds, as info = DataInfo(image_shape=(channels, height, "
            f"width)), and {type(data).__name__} does not. Import DataInfo from "
            "lightning_gen.contracts, and set it in the class or in its constructor."
        )
    return info


def factors(data: LightningDataModule) -> dict[str, int]:
    """The number of values of each factor, by its name."""
    info = require_info(data)
    return dict(zip(info.factor_names, info.factor_sizes, strict=True))


LINKS: dict[str, Callable[[LightningDataModule], object]] = {
    "image_shape": lambda data: require_info(data).image_shape,
    "num_classes": lambda data: max(1, len(require_info(data).class_names)),
    "class_names": lambda data: require_info(data).class_names,
    "factors": factors,
}
"""What of the data becomes which argument of a model that has such an argument."""


def linked_arguments(kind: type, data: LightningDataModule) -> dict[str, Plain]:
    """The arguments of a model's class that the data sets, as plain values."""
    names = [name for name in LINKS if name in parameters(kind)]
    return {name: plain(LINKS[name](data)) for name in names}
