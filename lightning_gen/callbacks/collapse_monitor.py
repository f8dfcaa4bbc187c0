"""How much of the code a variational autoencoder uses, and a warning when it uses none."""

from typing import Any, ClassVar, NamedTuple

from jaxtyping import Bool, Float
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from lightning_gen import contracts
from lightning_gen.callbacks.picture import Picture, check_at_least
from lightning_gen.contracts import Batch, given
from lightning_gen.figures import Pixels, kl_bars, to_array
from lightning_gen.metrics import ActiveUnits, KLPerDimension

FIRST_STEPS = 100
"""Training steps after which a healthy model has begun to use its code."""


class Usage(NamedTuple):
    """What each latent dimension carries, over all ranks."""

    kl: Float[Tensor, " d"]
    active: Bool[Tensor, " d"]


class CollapseMonitor(Picture):
    """Measures the posterior in each validation, draws it, and warns once when it has collapsed.

    Logs ``val/active_units`` and, in nats per image, ``kl_per_dimension/00``, ``/01``, ...; it
    costs one more pass of ``num_images`` images through the encoder. A posterior has collapsed when
    no dimension is active at the end of a training epoch; the first 100 steps do not count.

    Args:
        num_images: the first so many validation images are measured.
        every_n_epochs: training epochs from one picture to the next.
    """

    requires: ClassVar[contracts.Needs] = (contracts.Infers,)

    def __init__(self, num_images: int = 2000, every_n_epochs: int = 5) -> None:
        super().__init__(every_n_epochs)
        check_at_least(2, num_images, "CollapseMonitor.num_images")
        self.num_images = num_images
        self._missing = 0
        self._metrics: tuple[KLPerDimension, ActiveUnits] | None = None
        self._usage: Usage | None = None
        self._warned = False

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the measurement of an earlier epoch."""
        super().on_train_epoch_start(trainer, pl_module)
        self._usage = None

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Share the images out among the ranks."""
        rehearsal = trainer.sanity_checking or trainer.fast_dev_run  # type: ignore[attr-defined]
        self._missing = 0 if rehearsal else -(-self.num_images // trainer.world_size)
        self._metrics = None

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401  (Lightning's)
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Measure the batch while images are missing."""
        if self._missing == 0 or dataloader_idx > 0:
            return
        batch = batch.first(self._missing)
        self._missing -= len(batch.images)
        with trainer.precision_plugin.forward_context():
            posterior = given(pl_module, batch).posterior(batch.images)
        mean, log_var = posterior.mean, posterior.log_var
        if mean.device.type == "mps":  # which has no float64
            mean, log_var = mean.cpu(), log_var.cpu()
        if self._metrics is None:
            metrics = KLPerDimension(mean.shape[1]), ActiveUnits(mean.shape[1])
            self._metrics = metrics[0].to(mean.device), metrics[1].to(mean.device)
        kl, units = self._metrics
        kl.update(mean, log_var)
        units.update(mean)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the measurement, the same on all ranks."""
        if self._metrics is None:
            return
        kl, units = self._metrics
        self._usage = usage = Usage(kl.compute(), units.dimensions())
        width = max(2, len(str(len(usage.kl) - 1)))
        values = {f"kl_per_dimension/{j:0{width}d}": nats for j, nats in enumerate(usage.kl)}
        values["val/active_units"] = usage.active.sum().to(usage.kl)
        pl_module.log_dict({name: value.float() for name, value in values.items()}, sync_dist=True)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Warn of a collapse, and draw when the epoch is due."""
        super().on_train_epoch_end(trainer, pl_module)
        if self._warned or self._usage is None or trainer.global_step < FIRST_STEPS:
            return
        if not self._usage.active.any():
            self._warned = True
            rank_zero_warn(collapse_message(self._usage))

    def draw(self, trainer: Trainer, pl_module: LightningModule) -> Pixels | None:
        """KL of each dimension as bars; None where the epoch had no validation."""
        if self._usage is None:
            return None
        criterion = f"variance of the posterior mean over {ActiveUnits.threshold:g}"
        return to_array(kl_bars(*self._usage, criterion))


def collapse_message(usage: Usage) -> str:
    """What was seen, what it means, and what to try."""
    return (
        f"The posterior has collapsed: {int(usage.active.sum())} of {len(usage.active)} latent "
        f"dimensions are active and the KL is {usage.kl.sum():.3g} nats per image, so the decoder "
        "ignores the code. Try objective.warmup_steps, objective.free_bits or a smaller beta."
    )
