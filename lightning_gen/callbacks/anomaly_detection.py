"""How well a model trained on normal images tells anomalies from them."""

from collections.abc import Mapping, Sequence
from inspect import signature
from typing import ClassVar

import torch
from lightning.pytorch import LightningModule, Trainer

from lightning_gen import contracts
from lightning_gen.callbacks.evaluation import Evaluation, Score, home
from lightning_gen.contracts import Batch, given
from lightning_gen.errors import UserError
from lightning_gen.metrics import AUROC, MSE


class AnomalyDetection(Evaluation):
    """Scores ``auroc_reconstruction`` and, for a model that bounds log p(x), ``auroc_elbo``.

    Normal are the classes that the data was told to train on (``data.train_classes``); all others
    are anomalies. The score of an image is the squared error of its reconstruction, or its
    negative ELBO, the mean over ``num_samples`` posterior draws. Seconds on a CPU.

    Args:
        num_images: how many images of the split are used, spread evenly over it.
        num_samples: posterior draws an image, for the ELBO.
        seed: of the draws.
    """

    requires: ClassVar[contracts.Needs] = (contracts.Reconstructs,)

    def __init__(self, num_images: int = 10_000, num_samples: int = 10, seed: int = 0) -> None:
        super().__init__(num_images, seed)
        self.num_samples = num_samples

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Learn which classes are normal.

        Raises:
            UserError: the model lacks what is scored, or all classes are normal.
        """
        super().setup(trainer, pl_module, stage)
        data = trainer.datamodule  # type: ignore[attr-defined]
        self._normal: Sequence[int] = tuple(getattr(data, "normal_classes", ()))
        if not self._normal:
            remedy = "Choose data that has train_classes, such as MNIST."
            if "train_classes" in signature(type(data)).parameters:
                remedy = "Set data.train_classes, for instance to ['0']."
            raise UserError(
                "AnomalyDetection needs data that trains on some of its classes, the normal ones, "
                f"and {type(data).__name__} trains on all. {remedy}"
            )

    def begin(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the scores."""
        self._reconstruction = AUROC().to(home(pl_module))
        self._elbo = AUROC().to(home(pl_module))
        self._bounds = isinstance(pl_module, contracts.EstimatesLikelihood)

    def see(self, pl_module: LightningModule, batch: Batch) -> None:
        """Score the batch."""
        model, images = given(pl_module, batch), batch.images
        normal = torch.tensor(self._normal, device=batch.labels.device)
        anomalous = ~torch.isin(batch.labels, normal)
        device = self._elbo.device
        errors = MSE.of(model.reconstruct(images), images)
        self._reconstruction.update(errors.to(device), anomalous.to(device))
        if self._bounds:
            elbo = torch.stack([model.log_weights(images, 1)[0] for _ in range(self.num_samples)])
            self._elbo.update(-elbo.mean(dim=0).to(device), anomalous.to(device))

    def finish(self, trainer: Trainer, pl_module: LightningModule) -> Mapping[str, Score]:
        """The areas."""
        normal = {"normal_classes": list(self._normal)}
        scores = {"auroc_reconstruction": Score(self._reconstruction.compute(), "none", normal)}
        if self._bounds:
            details = {**normal, "posterior_draws": self.num_samples}
            scores["auroc_elbo"] = Score(self._elbo.compute(), "none", details)
        return scores
