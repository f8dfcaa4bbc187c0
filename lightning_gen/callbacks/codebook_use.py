"""How much of its codebooks a model uses on the validation and the test split."""

from typing import Any, ClassVar, cast

from jaxtyping import Int
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from lightning_gen import contracts
from lightning_gen.callbacks.picture import Picture
from lightning_gen.contracts import Batch, given
from lightning_gen.figures import Pixels, codebook_bars, to_array
from lightning_gen.metrics import CodeCounts, code_perplexity, code_use


class CodebookUse(Picture):
    """Counts the codes of the whole validation or test split, logs two measures and draws a chart.

    ``val/perplexity`` is the effective number of codes, exp of the entropy of their frequencies;
    ``val/code_use`` is the share of the codes that is used at all; both are means over the
    codebooks, and ``test/`` has them too. It costs one more pass of the split through the encoder.

    Args:
        every_n_epochs: training epochs from one picture to the next.
    """

    requires: ClassVar[contracts.Needs] = (contracts.Quantizes,)

    def __init__(self, every_n_epochs: int = 1) -> None:
        super().__init__(every_n_epochs)
        self._metric: CodeCounts | None = None
        self._counts: Int[Tensor, "codebooks size"] | None = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the counts of an earlier epoch."""
        super().on_train_epoch_start(trainer, pl_module)
        self._counts = None

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start counting."""
        self._metric = None

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401  (Lightning's)
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count the codes of the batch."""
        if dataloader_idx > 0:
            return
        model = cast(contracts.Quantizes, given(pl_module, batch))
        with trainer.precision_plugin.forward_context():
            indices = model.quantize(batch.images)
        if self._metric is None:
            self._metric = CodeCounts(indices.shape[2], model.codebook_size).to(indices.device)
        self._metric.update(indices)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the measures, the same on all ranks."""
        self._counts = self._log(pl_module, "val")

    on_test_epoch_start = on_validation_epoch_start
    on_test_batch_end = on_validation_batch_end

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the measures, the same on all ranks."""
        self._log(pl_module, "test")

    def draw(self, trainer: Trainer, pl_module: LightningModule) -> Pixels | None:
        """The use of each code as bars; None where the epoch had no validation."""
        if self._counts is None:
            return None
        return to_array(codebook_bars(self._counts, code_perplexity(self._counts)))

    def _log(self, pl_module: LightningModule, stage: str) -> Tensor | None:
        if self._metric is None:
            return None
        counts: Tensor = self._metric.compute()
        measures = {"perplexity": code_perplexity(counts), "code_use": code_use(counts)}
        values = {f"{stage}/{name}": books.mean() for name, books in measures.items()}
        pl_module.log_dict(values, sync_dist=True)
        return counts
