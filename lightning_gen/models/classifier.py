"""A classifier of images, whose features judge what generative models make."""

from typing import ClassVar, Unpack

import torch.nn.functional as F

from lightning_gen.contracts import Batch, Codes, Images, ImageShape, Terms
from lightning_gen.errors import check_number
from lightning_gen.models.module import Module
from lightning_gen.models.optimizers import TrainingParts
from lightning_gen.networks.classifier import ConvClassifier, flipped, shifted
from lightning_gen.quantities import Quantity


class Classifier(Module):
    """A small convolutional classifier; its code is what the last layer sees.

    These are the features of :class:`~lightning_gen.features.TrainedClassifier`.

    Args:
        image_shape: (channels, height, width); the command line takes it from the data.
        num_classes: number of classes; the command line takes it from the data.
        widths: channels of each stage; the last is the number of features.
        shift: training images are moved by up to so many pixels in either direction.
        flip: training images are mirrored left to right at random.
    """

    needs_labels = True
    logs: ClassVar[dict[str, Quantity]] = {"accuracy": Quantity(better="higher")}

    def __init__(
        self,
        image_shape: ImageShape,
        num_classes: int,
        widths: tuple[int, ...] = (32, 64, 128, 128),
        shift: int = 2,
        flip: bool = False,
        **training: Unpack[TrainingParts],
    ) -> None:
        super().__init__(**training)
        remedy = "Choose data with labels, for an ImageFolder one folder a class."
        check_number("the data's number of classes", num_classes, 2, remedy)
        check_number("Classifier.shift, in pixels,", shift, 0, "Set it to 2.")
        self.image_shape = image_shape
        self.network = ConvClassifier(image_shape, num_classes, widths)
        self.shift = shift
        self.flip = flip

    def encode(self, images: Images) -> Codes:
        """The features [N, D] of each image."""
        return self.network.features(images)  # type: ignore[no-any-return]

    def terms(self, batch: Batch, inputs: Images, training_step: int | None = None) -> Terms:
        """Cross-entropy and accuracy."""
        logits = self.network(inputs)
        right = logits.argmax(dim=1) == batch.labels
        loss = F.cross_entropy(logits.float(), batch.labels)
        return {"loss": loss, "accuracy": right.float().mean()}

    def _augmented(self, images: Images) -> Images:
        images = shifted(images, self.shift)
        return flipped(images) if self.flip else images
