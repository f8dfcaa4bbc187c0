"""The features of a classifier that was trained on real images."""

import hashlib
from pathlib import Path
from typing import Any
from warnings import catch_warnings

import torch

from lightning_gen.contracts import Images, ImageShape
from lightning_gen.errors import UserError
from lightning_gen.features.extractor import Extractor, Features
from lightning_gen.networks.classifier import ConvClassifier

PREFIX = "network."
WEIGHTS = Path(__file__).parent / "weights"


class TrainedClassifier(Extractor):
    """What a trained ``lightning_gen.models.Classifier`` sees before its last layer.

    For images of one's own: ``lightning-gen fit --model Classifier --data ...``, then the run's
    checkpoint here. Images must have the size and channels of its training; none is resized.

    Args:
        checkpoint: file of the classifier's weights.
        name: stands in the name of every score; by default the folder of the run.
    """

    resize = "none"

    def __init__(self, checkpoint: str, name: str | None = None) -> None:
        super().__init__()
        path = Path(checkpoint)
        self.image_shape, self.network = load_classifier(path)
        self.requires_grad_(False)
        self.eval()
        self.feature_dim = self.network.head.in_features
        self.name = name or run_name(path)
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()

    def features(self, images: Images) -> Features:
        """The means of the last maps over their positions, [N, 128] for the shipped ones."""
        if tuple(images.shape[1:]) != self.image_shape:
            raise UserError(
                f"{self.name} knows images of {shape(self.image_shape)}, got "
                f"{shape(images.shape[1:])}. Train a Classifier on such images, or use Inception."
            )
        return self.network.features(images)  # type: ignore[no-any-return]

    def classes(self, images: Images) -> torch.Tensor:
        """The class [N] of each image."""
        features = self(images)
        with torch.autocast(images.device.type, enabled=False):
            return self.network.head(features).argmax(dim=1)  # type: ignore[no-any-return]


class FashionMNISTClassifier(TrainedClassifier):
    """The classifier of Fashion-MNIST in this package; ``fashion_mnist_classifier.yaml`` says how.

    128 features of 28x28 grey images; the file beside the weights has its training and accuracy.
    """

    def __init__(self) -> None:
        super().__init__(str(WEIGHTS / "fashion_mnist_classifier.ckpt"))


class MNISTClassifier(TrainedClassifier):
    """The classifier of MNIST in this package; ``mnist_classifier.yaml`` says how it was trained.

    128 features of 28x28 grey images.
    """

    def __init__(self) -> None:
        super().__init__(str(WEIGHTS / "mnist_classifier.ckpt"))


def load_classifier(path: Path) -> tuple[ImageShape, ConvClassifier]:
    """The image shape and the network of a classifier's checkpoint, or a UserError."""
    expected = "TrainedClassifier.checkpoint is the checkpoint of a trained Classifier"
    try:
        with catch_warnings(action="ignore"):  # of pickles that torch refuses in the next line
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises what pickle, zip and the file make of it
        raise UserError(
            f"{expected}, and {path} cannot be read: {one_line(error)}. Pass "
            "logs/<name>/version_<n>/checkpoints/best.ckpt."
        ) from error
    try:
        arguments, weights = content["hyper_parameters"], content["state_dict"]
        channels, height, width = (int(size) for size in arguments["image_shape"])
        widths = [int(width) for width in arguments["widths"]]
        network = ConvClassifier((channels, height, width), int(arguments["num_classes"]), widths)
        network.load_state_dict({key.removeprefix(PREFIX): weights[key] for key in weights})
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise UserError(
            f"{expected}, got another file, {path}: {type(error).__name__} {one_line(error)}. Pass "
            "a checkpoint of lightning_gen.models.Classifier."
        ) from error
    return (channels, height, width), network


def one_line(error: Exception) -> str:
    """What an error says, without line breaks."""
    return " ".join(str(error).split())[:200]


def run_name(checkpoint: Path) -> str:
    """``logs/<name>/version_<n>/checkpoints/x.ckpt`` as ``<name>``; otherwise the file's name."""
    folders = checkpoint.resolve().parents
    if folders[0].name == "checkpoints" and len(folders) > 2:
        return folders[2].name
    return checkpoint.stem


def shape(sizes: tuple[int, ...]) -> str:
    """(1, 28, 28) as ``1x28x28``."""
    return "x".join(str(size) for size in sizes)
