"""The features of a classifier that was trained on real images."""

import hashlib
from importlib.resources import as_file, files
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile

import torch

from lightning_gen.errors import UserError
from lightning_gen.features.extractor import Extractor, Features, Images
from lightning_gen.networks.classifier import ConvClassifier

PREFIX = "network."


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
        content = read(path)
        arguments: dict[str, Any] = content["hyper_parameters"]
        self.image_shape = tuple(arguments["image_shape"])
        self.network = ConvClassifier(
            self.image_shape, arguments["num_classes"], arguments["widths"]
        )
        weights = content["state_dict"]
        self.network.load_state_dict({key.removeprefix(PREFIX): weights[key] for key in weights})
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
        return self.network.head(self(images)).argmax(dim=1)  # type: ignore[no-any-return]


class FashionMNISTClassifier(TrainedClassifier):
    """The classifier of Fashion-MNIST in this package; ``fashion_mnist_classifier.yaml`` says how.

    128 features of 28x28 grey images; the file beside the weights has its training and accuracy.
    """

    def __init__(self) -> None:
        with as_file(weights_of("fashion_mnist_classifier")) as path:
            super().__init__(str(path), "fashion_mnist_classifier")


class MNISTClassifier(TrainedClassifier):
    """The classifier of MNIST in this package; ``mnist_classifier.yaml`` says how it was trained.

    128 features of 28x28 grey images.
    """

    def __init__(self) -> None:
        with as_file(weights_of("mnist_classifier")) as path:
            super().__init__(str(path), "mnist_classifier")


def weights_of(name: str) -> Any:  # noqa: ANN401  (importlib's Traversable moves between versions)
    """A shipped file of weights."""
    return files("lightning_gen.features") / "weights" / f"{name}.ckpt"


def read(path: Path) -> dict[str, Any]:
    """The checkpoint of a classifier.

    Raises:
        UserError: there is none.
    """
    expected = "TrainedClassifier.checkpoint is the checkpoint of a trained Classifier"
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, UnpicklingError, RuntimeError, EOFError, BadZipFile) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{expected}, and {path} cannot be read: {reason}. Pass logs/<name>/version_<n>/"
            "checkpoints/best.ckpt."
        ) from error
    if not isinstance(content, dict) or "widths" not in content.get("hyper_parameters", {}):
        raise UserError(f"{expected}, got that of another model: {path}.")
    if not any(key.startswith(PREFIX) for key in content.get("state_dict", {})):
        raise UserError(f"{expected}, got that of another model: {path}.")
    return content


def run_name(checkpoint: Path) -> str:
    """``logs/<name>/version_<n>/checkpoints/x.ckpt`` as ``<name>``; otherwise the file's name."""
    folders = checkpoint.resolve().parents
    if folders[0].name == "checkpoints" and len(folders) > 2:
        return folders[2].name
    return checkpoint.stem


def shape(sizes: tuple[int, ...]) -> str:
    """(1, 28, 28) as ``1x28x28``."""
    return "x".join(str(size) for size in sizes)
