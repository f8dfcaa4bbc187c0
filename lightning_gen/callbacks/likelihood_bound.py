"""The likelihood of held-out images, by importance sampling."""

from typing import Any, cast

import torch
from lightning.pytorch import LightningModule, Trainer

from lightning_gen.callbacks.evaluation import Evaluation, Score, Scores, home
from lightning_gen.contracts import Batch, EstimatesLikelihood, Images, condition_on
from lightning_gen.errors import UserError, check_number
from lightning_gen.metrics import BitsPerDimension, NegativeLogLikelihood
from lightning_gen.metrics.likelihood import dequantised, log_bin_volume
from lightning_gen.objectives.posterior import bound_in_parts
from lightning_gen.progress import progress


class LikelihoodBound(Evaluation):
    """Scores ``negative_log_likelihood``: the importance-weighted bound with k draws an image.

    Nats per image (Burda et al. 2016, arXiv:1509.00519); of 8-bit images also
    ``negative_log_likelihood_bits``, in bits per dimension. A likelihood of 8-bit pixels is taken
    as it is, a continuous one is made one by uniform dequantisation, one draw of the noise an image
    and a bound again; a Bernoulli likelihood of grey levels is none and is refused.

    It costs k passes through the decoder an image: for 10,000 images of 28x28, k = 5,000 and a
    dense decoder of 200 units about a quarter of an hour of one CPU core, with progress.

    Args:
        num_samples: k.
        at_once: draws, over all images of a batch, that are in memory at a time.
    """

    requires = (EstimatesLikelihood,)

    def __init__(self, num_samples: int = 5000, at_once: int = 5000, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        check_number("LikelihoodBound.num_samples", num_samples, 1)
        check_number("LikelihoodBound.at_once", at_once, 1)
        self.num_samples = num_samples
        self.at_once = at_once

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Raise a UserError at the first batch where one would come after the training."""
        if batch_idx == 0:
            check_likelihood(cast(EstimatesLikelihood, pl_module), batch.images)

    def begin(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start new means."""
        self._nats = NegativeLogLikelihood().to(home(pl_module))

    def see(self, pl_module: LightningModule, batch: Batch) -> None:
        """Bound log p of each image; a UserError where the model's numbers are no likelihood."""
        model: Any = condition_on(pl_module, batch)
        check_likelihood(model, batch.images)
        likelihood, images = model.observation_model, batch.images
        dimensions = images[0].numel()
        if self._nats.count == 0:
            self._bits = BitsPerDimension(dimensions).to(self._nats.device)
        volume = 0.0
        if not (likelihood.discrete or likelihood.binary):
            images = dequantised(images, torch.rand_like(images))
            volume = log_bin_volume(dimensions)
        draws = max(1, self.at_once // len(images))
        with progress(self.num_samples, "likelihood", unit="draw") as bar:

            def draw(count: int) -> torch.Tensor:
                bar.update(count)
                log_weights: torch.Tensor = model.log_weights(images, count)
                return log_weights

            bound = bound_in_parts(draw, self.num_samples, draws) + volume
        bound = bound.to(self._nats.device)
        self._nats.update(bound)
        if not likelihood.binary:
            self._bits.update(bound)

    def finish(self, trainer: Trainer, pl_module: LightningModule) -> Scores:
        """The means."""
        likelihood = cast(EstimatesLikelihood, pl_module).observation_model
        details: dict[str, Any] = {"importance_samples": self.num_samples}
        if not (likelihood.discrete or likelihood.binary):
            details["dequantisation"] = "uniform, one draw an image"
        yield "negative_log_likelihood", Score(self._nats.compute(), "nats per image", details)
        if not likelihood.binary:
            bits = self._bits.compute()
            yield "negative_log_likelihood_bits", Score(bits, "bits per dimension", details)


def check_likelihood(model: EstimatesLikelihood, images: Images) -> None:
    """Raise a UserError where the model's numbers for such images are no likelihood."""
    name = type(model.observation_model).__name__
    if model.observation_model.binary and not ((images == 0) | (images == 1)).all():
        raise UserError(
            f"{name} is a probability of pixels 0 and 1, and the images have grey levels, so that "
            "their number is no likelihood and compares with none. Set data.binarize to dynamic, "
            "or use DiscretizedLogistic or Gaussian, or remove LikelihoodBound."
        )
