"""The anomaly scores that a finished run gives to images."""

from math import ceil
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from lightning_gen import contracts
from lightning_gen.contracts import Batch, Images, PerImage, able, condition_on
from lightning_gen.errors import UserError, nearest
from lightning_gen.metrics import MSE
from lightning_gen.metrics.anomaly import MahalanobisDistance, negative_elbo
from lightning_gen.pictures.codes import codes_of
from lightning_gen.runs.anomalies.masks import ErrorMaps
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.inputs import SplitInputs

ScoreName = Literal["squared_error", "negative_elbo", "code_distance"]
UNITS: dict[ScoreName, str] = {
    "squared_error": "mean over pixels",
    "negative_elbo": "nats per image",
    "code_distance": "standard deviations",
}

LEARNT = 5000
"""Training images whose codes tell what is normal, and validation images that set the threshold."""
LONGEST_CODE = 2048
"""Numbers of a code whose covariance is estimated, at most."""
DRAWS = 10
"""Posterior draws of an image, for its ELBO."""
BLUR = 64
"""The error of a pixel is a mean around it, of a standard deviation of so many times its side."""


class Judged(NamedTuple):
    """The scores of a batch of images by name, its reconstructions, and where these differ.

    ``errors`` are squared, the mean over channels and a little around each pixel.
    """

    values: dict[ScoreName, PerImage]
    reconstructions: Images
    errors: ErrorMaps


class Scorer:
    """The anomaly scores of a run: of its reconstructions, its ELBO and its codes.

    A code is compared with those of the training images; ``notes`` say why it is not.
    """

    def __init__(self, run: FinishedRun) -> None:
        run.require((contracts.Reconstructs,), "score")
        self._run = run
        self.notes: list[str] = []
        self._distance = self._learn() if able(run.model, (contracts.Encodes,)) else None

    def _learn(self) -> MahalanobisDistance | None:
        try:
            parts = SplitInputs(self._run, "train").shown("encoding training images", LEARNT)
            codes = torch.cat([codes_of(self._run.model, batch).codes for batch, _ in parts])
        except UserError as error:
            self.notes.append(f"There is no code_distance: {error}")
            return None
        faults = {
            f"a code has {codes.shape[1]:,} numbers": codes.shape[1] > LONGEST_CODE,
            "there is one training image": len(codes) < 2,
            "codes of training images are NaN or infinite": not codes.isfinite().all(),
        }
        if fault := next((words for words, holds in faults.items() if holds), ""):
            self.notes.append(f"There is no code_distance: {fault}.")
        return None if fault else MahalanobisDistance(codes)

    def __call__(self, batch: Batch) -> Judged:
        """The scores of a batch."""
        model = condition_on(self._run.model, batch)
        images = model.reconstruct(batch.images)
        values: dict[ScoreName, PerImage] = {"squared_error": MSE.of(images, batch.images)}
        if able(self._run.model, (contracts.EstimatesLikelihood,)):
            values["negative_elbo"] = negative_elbo(model, batch.images, DRAWS)
        if self._distance:
            values["code_distance"] = self._distance(codes_of(self._run.model, batch).codes)
        return Judged(values, images, around((images - batch.images).square().mean(dim=1)))

    def of_validation(self, name: ScoreName) -> list[float]:
        """A score of the validation images, none where they cannot be read."""
        values: list[float] = []
        try:
            for batch, _ in SplitInputs(self._run, "val").shown("scoring validation", LEARNT):
                values += score_of(self(batch), name).tolist()
        except UserError as error:
            self.notes.append(f"There is no threshold: {error}")
        return values


def score_of(judged: Judged, name: ScoreName) -> PerImage:
    """The score of a name; a UserError where the model does not give it."""
    if name not in judged.values:
        others = ", ".join(judged.values)
        raise UserError(f"by: this run gives {others}, got {name!r}{nearest(name, judged.values)}")
    return judged.values[name]


def around(errors: ErrorMaps) -> ErrorMaps:
    """The mean error around each pixel, by a Gaussian as wide as a 64th of the shorter side."""
    deviation = min(errors.shape[1:]) / BLUR
    blurred: Tensor = gaussian_blur(errors, 2 * ceil(3 * deviation) + 1, deviation)
    return blurred
