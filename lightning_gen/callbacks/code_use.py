"""How much of its code a model uses: of latent dimensions, and of codebooks."""

from typing import Any, ClassVar, cast

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from lightning_gen.callbacks.drawing import Drawing, Watching
from lightning_gen.callbacks.evaluation import home
from lightning_gen.contracts import Batch, Infers, Quantizes, condition_on
from lightning_gen.errors import check_number
from lightning_gen.figures.code_charts import codebook_bars, kl_bars
from lightning_gen.figures.style import Pixels, to_array
from lightning_gen.metrics import ActiveUnits, CodeCounts, KLPerDimension, code_perplexity, code_use
from lightning_gen.quantities import NATS, Quantity

FIRST_STEPS = 100
"""Training steps after which a healthy model has begun to use its code."""


def per_dimension(name: str, values: Tensor) -> dict[str, Tensor]:
    """``NAME/00``, ``NAME/01``, ...: a name for each of the values of dimensions."""
    width = max(2, len(str(len(values) - 1)))
    return {f"{name}/{j:0{width}d}": value for j, value in enumerate(values)}


class MeasuredUse(Drawing, Watching):
    """Draws what the last validation measured; a checkpoint keeps it, for a run that only ends."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        self._measured: dict[str, Tensor] = {}

    def state_dict(self) -> dict[str, Tensor]:
        """The latest measurement, the same on all ranks."""
        return self._measured

    def load_state_dict(self, state_dict: dict[str, Tensor]) -> None:
        """Take the measurement of a checkpoint."""
        self._measured = state_dict

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the measurement of an earlier epoch."""
        super().on_train_epoch_start(trainer, pl_module)
        self._measured = {}


class CollapseMonitor(MeasuredUse):
    """Measures the posterior in each validation, draws it, and warns once when it has collapsed.

    Logs ``val/active_units`` and, in nats per image, ``kl_per_dimension/00``, ``/01``, ..., which
    are those to N(0, I), whatever the model's prior is; it costs one more pass of ``num_images``
    images through the encoder. A posterior has collapsed when no dimension is active at the end of
    a training epoch; the first 100 steps do not count.

    Args:
        num_images: the first so many validation images are measured.
    """

    requires = (Infers,)
    quantities: ClassVar[dict[str, Quantity]] = {
        "active_units": Quantity("dimensions"),
        "kl_per_dimension": Quantity(NATS),
    }

    def __init__(self, num_images: int = 2000, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        check_number("CollapseMonitor.num_images", num_images, 2)
        self.num_images = num_images
        self._warned = False

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Share the images out among the ranks."""
        rehearsal = trainer.sanity_checking or trainer.fast_dev_run  # type: ignore[attr-defined]
        self._missing = 0 if rehearsal else -(-self.num_images // trainer.world_size)
        self._metrics: tuple[KLPerDimension, ActiveUnits] | None = None

    def look(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, index: int) -> None:
        """Measure the batch while images are missing."""
        if self._missing == 0:
            return
        batch = batch.first(self._missing)
        self._missing -= len(batch.images)
        with trainer.precision_plugin.forward_context():
            posterior = condition_on(pl_module, batch).posterior(batch.images)
        device = home(pl_module)
        mean, log_var = posterior.mean.to(device), posterior.log_var.to(device)
        if self._metrics is None:
            metrics = KLPerDimension(mean.shape[1]), ActiveUnits(mean.shape[1])
            self._metrics = metrics[0].to(device), metrics[1].to(device)
        kl, units = self._metrics
        kl.update(mean, log_var)
        units.update(mean)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the measurement, the same on all ranks."""
        if self._metrics is None:
            return
        kl, units = self._metrics
        nats, active = kl.compute(), units.dimensions()
        self._measured = {"kl": nats, "active": active}
        values = {
            **per_dimension("kl_per_dimension", nats),
            "val/active_units": active.sum().to(nats),
        }
        pl_module.log_dict({name: value.float() for name, value in values.items()}, sync_dist=True)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Warn of a collapse, and draw when the epoch is due."""
        super().on_train_epoch_end(trainer, pl_module)
        if self._warned or not self._measured or trainer.global_step < FIRST_STEPS:
            return
        if not self._measured["active"].any():
            self._warned, kl = True, self._measured["kl"]
            rank_zero_warn(
                f"The posterior has collapsed: 0 of {len(kl)} latent dimensions are active and the "
                f"KL is {kl.sum():.3g} nats per image, so the decoder ignores the code. Try "
                "objective.warmup_steps, objective.free_bits or a smaller beta."
            )

    def draw(self, trainer: Trainer, pl_module: LightningModule, name: str) -> Pixels | None:
        """KL of each dimension as bars; None where the epoch had no validation."""
        if not self._measured:
            return None
        criterion = f"variance of the posterior mean over {ActiveUnits.threshold:g}"
        return to_array(kl_bars(**self._measured, criterion=criterion))


class CodebookUse(MeasuredUse):
    """Counts the codes of the whole validation or test split, logs two measures and draws a chart.

    ``val/perplexity`` is the effective number of codes, exp of the entropy of their frequencies;
    ``val/code_use`` is the share of the codes that is used at all; both are means over the
    codebooks, and ``test/`` has them too. It costs one more pass of the split through the encoder.
    """

    requires = (Quantizes,)
    quantities: ClassVar[dict[str, Quantity]] = {
        "perplexity": Quantity("codes"),
        "code_use": Quantity(),
    }

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start counting."""
        self._metric: CodeCounts | None = None

    def look(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, index: int) -> None:
        """Count the codes of the batch."""
        model = cast(Quantizes, condition_on(pl_module, batch))
        with trainer.precision_plugin.forward_context():
            indices = model.quantize(batch.images)
        if self._metric is None:
            self._metric = CodeCounts(indices.shape[2], model.codebook_size).to(indices.device)
        self._metric.update(indices)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the measures, the same on all ranks."""
        if self._metric is None:
            return
        counts: Tensor = self._metric.compute()
        self._measured = {"counts": counts}
        stage = "test" if trainer.testing else "val"
        measures = {"perplexity": code_perplexity(counts), "code_use": code_use(counts)}
        values = {f"{stage}/{name}": books.mean() for name, books in measures.items()}
        pl_module.log_dict(values, sync_dist=True)

    on_test_epoch_start = on_validation_epoch_start
    on_test_batch_end = Watching.on_validation_batch_end
    on_test_epoch_end = on_validation_epoch_end

    def draw(self, trainer: Trainer, pl_module: LightningModule, name: str) -> Pixels | None:
        """The use of each code as bars; None where the epoch had no validation."""
        if not self._measured:
            return None
        counts = self._measured["counts"]
        return to_array(codebook_bars(counts, code_perplexity(counts)))
