"""How the dimensions of a code relate to the factors that made the images."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer

from lightning_gen.callbacks.evaluation import Evaluation, Score, Scores
from lightning_gen.contracts import Batch, Encodes, condition_on, info_of
from lightning_gen.errors import UserError
from lightning_gen.metrics.disentanglement import (
    DCI,
    MIG,
    SAP,
    BetaVAEScore,
    CodesAndFactors,
    FactorVAEScore,
    GaussianTotalCorrelation,
    Modularity,
)
from lightning_gen.progress import progress

METRICS: dict[str, type[CodesAndFactors]] = {
    "mig": MIG,
    "factor_vae_score": FactorVAEScore,
    "beta_vae_score": BetaVAEScore,
    "sap": SAP,
    "modularity": Modularity,
    "total_correlation": GaussianTotalCorrelation,
    "dci": DCI,
}


class Disentanglement(Evaluation):
    """Scores codes against the ground-truth factors of the data.

    ``mig``, ``dci_disentanglement``, ``dci_completeness``, ``dci_informativeness``,
    ``factor_vae_score``, ``beta_vae_score``, ``sap``, ``modularity``, from 0 to 1 and higher is
    better, and ``total_correlation`` in nats. The codes are the posterior means; what each score
    is, and how it is estimated, stands at its class in ``lightning_gen.metrics.disentanglement``.

    Of 10,000 codes of 10 dimensions, with the factors of dSprites, all of it takes a few minutes
    of one CPU core, most of them for DCI; with progress.

    Args:
        dci: measure DCI, too, which takes the longest.
    """

    requires = (Encodes,)

    def __init__(self, dci: bool = True, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        self.dci = dci

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Raise a UserError when the model has no codes or the data no factors."""
        super().setup(trainer, pl_module, stage)
        data = trainer.datamodule  # type: ignore[attr-defined]
        info = info_of(data)
        if info is None or not info.factor_names:
            raise UserError(
                f"Disentanglement needs data with ground-truth factors, and {type(data).__name__} "
                "has none. Choose Shapes or DSprites, or remove Disentanglement."
            )

    def begin(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the codes."""
        self._metrics: dict[str, CodesAndFactors] = {
            name: kind(seed=self.seed)
            for name, kind in METRICS.items()
            if self.dci or name != "dci"
        }

    def see(self, pl_module: LightningModule, batch: Batch) -> None:
        """The codes of the batch."""
        codes = condition_on(pl_module, batch).encode(batch.images).float()
        for metric in self._metrics.values():
            metric.update(codes.to(metric.device), batch.factors.to(metric.device))

    def finish(self, trainer: Trainer, pl_module: LightningModule) -> Scores:
        """The scores of all codes."""
        with progress(len(self._metrics), "disentanglement", unit="score") as bar:
            for name, metric in self._metrics.items():
                unit = "nats" if name == "total_correlation" else "none"
                found = metric.compute()
                if name == "dci":
                    for part, estimate in found._asdict().items():
                        yield f"dci_{part}", Score(estimate, unit)
                else:
                    yield name, Score(found, unit)
                bar.update()
