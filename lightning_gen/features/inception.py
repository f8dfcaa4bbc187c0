"""The Inception network of the FID, through torch-fidelity."""

import hashlib
import io
from pathlib import Path
from typing import ClassVar
from urllib.error import URLError

import torch

from lightning_gen.contracts import Images
from lightning_gen.errors import UserError
from lightning_gen.features.extractor import Extractor, Features

FILE = "weights-inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{FILE}"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""Of the published file: scores of other weights are not called FID."""

OTHERS = (
    "use the features of a Classifier that you train on such images, with TrainedClassifier; for "
    "grey images of 28x28 there are FashionMNISTClassifier and MNISTClassifier."
)


class Inception(Extractor):
    """InceptionV3 of TensorFlow's 2015 release, 2048 features: what FID and KID are defined on.

    The network and the standard resize (bilinear as TensorFlow 1 has it, to 299x299, of 8-bit
    images) are torch-fidelity's, whose scores agree with those of the original code; grey images
    are given three equal channels. Needs ``pip install lightning-gen[inception]``.

    Args:
        weights: the file ``weights-inception-2015-12-05-6726825d.pth`` (96 MB); by default it is
            fetched once into torch's hub folder.

    Raises:
        UserError: torch-fidelity is not installed, or the weights cannot be had.
    """

    names: ClassVar[dict[str, str]] = {"frechet_distance": "fid", "kernel_distance": "kid"}

    def __init__(self, weights: str | None = None) -> None:
        super().__init__()
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ModuleNotFoundError as error:
            raise UserError(
                "Inception needs torch-fidelity, which is not installed. Run pip install "
                f"'lightning-gen[inception]', or {OTHERS}"
            ) from error
        content = published(fetched() if weights is None else Path(weights))
        self.sha256 = SHA256
        # torch-fidelity unpickles what it is given: it gets tensors that were read without that.
        tensors = io.BytesIO()
        torch.save(torch.load(io.BytesIO(content), weights_only=True), tensors)
        tensors.seek(0)
        self.network = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=tensors
        )
        self.feature_dim = 2048
        self.name = "inception"
        self.resize = "bilinear as in TensorFlow 1, to 299x299, from 8-bit images"

    def score_name(self, score: str) -> str:
        """``fid`` and ``kid``; other scores have the name of the extractor in brackets."""
        return self.names.get(score, super().score_name(score))

    def features(self, images: Images) -> Features:
        """The last pooling layer's output, [N, 2048]."""
        channels = images.shape[1]
        if channels not in (1, 3):
            raise UserError(
                f"Inception knows images of 1 or 3 channels, got {channels}. Use an extractor of "
                "your own, trained on such images: a TrainedClassifier."
            )
        bytes_ = (images * 255).round().clamp(0, 255).to(torch.uint8)
        (features,) = self.network(bytes_.expand(-1, 3, -1, -1))
        return features  # type: ignore[no-any-return]


def fetched() -> Path:
    """The file of weights in torch's hub folder, fetched if it is not there; or a UserError."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / FILE
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(URL, str(path), SHA256)
        except (URLError, OSError, RuntimeError) as error:
            raise UserError(
                f"the Inception weights cannot be fetched from {URL}: {error}. Put the file at "
                f"{path}, or {OTHERS}"
            ) from error
    return path


def published(path: Path) -> bytes:
    """The content of the published file of weights; a UserError if it is missing or another."""
    if not path.is_file():
        raise UserError(f"Inception.weights is the file {FILE}, got {path}, which is not there.")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise UserError(
            f"Inception.weights is the file {FILE}, whose sha256 is {SHA256}, got {path} with "
            f"{found}. Fetch it from {URL}."
        )
    return content
