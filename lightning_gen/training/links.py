"""What a dataset tells the model that is trained on it."""

from lightning.pytorch import LightningDataModule

from lightning_gen.contracts import ImageShape
from lightning_gen.errors import UserError
from lightning_gen.hyperparameters import Plain, plain
from lightning_gen.parts import parameters


def image_shape(data: LightningDataModule) -> ImageShape:
    """(channels, height, width) of the dataset; a UserError where it does not say so."""
    shape = getattr(data, "image_shape", None)
    if not (isinstance(shape, tuple | list) and len(shape) == 3):
        raise UserError(
            f"a datamodule sets image_shape = (channels, height, width) in its constructor, "
            f"and {type(data).__name__} has {shape!r}. Set it, or derive from "
            "lightning_gen.data.ImageDataModule."
        )
    channels, height, width = shape
    return channels, height, width


def class_count(data: LightningDataModule) -> int:
    """The number of classes of the dataset, at least 1."""
    return max(1, len(class_names(data)))


def class_names(data: LightningDataModule) -> tuple[str, ...]:
    """A name for each class; one where the dataset has none."""
    return tuple(getattr(data, "class_names", ("image",)))


def factors(data: LightningDataModule) -> dict[str, int]:
    """The number of values of each factor, by its name."""
    names = getattr(data, "factor_names", ())
    return dict(zip(names, getattr(data, "factor_sizes", ()), strict=True))


LINKS = {
    "image_shape": image_shape,
    "num_classes": class_count,
    "class_names": class_names,
    "factors": factors,
}
"""What of the data becomes which argument of a model that has such an argument."""


def linked_arguments(kind: type, data: LightningDataModule) -> dict[str, Plain]:
    """The arguments of a model's class that the data sets, as plain values."""
    names = [name for name in LINKS if name in parameters(kind)]
    return {name: plain(LINKS[name](data)) for name in names}
