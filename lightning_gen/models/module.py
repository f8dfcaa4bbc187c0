"""What all models derive from."""

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from lightning.pytorch import LightningModule

from lightning_gen._compat import find_unused_parameters
from lightning_gen.contracts import Batch, as_batch
from lightning_gen.hyperparameters import KeepsArguments


class Module(KeepsArguments, LightningModule):
    """A LightningModule that keeps its constructor's arguments and takes plain batches.

    Attributes:
        leaves_gradients_out: a backward pass gives no gradient to some parameters, for which DDP
            must not wait.
    """

    leaves_gradients_out: ClassVar[bool] = False

    def setup(self, stage: str) -> None:
        """See to it that a plain DataLoader's (images, labels) become a Batch; prepare DDP."""
        if self.leaves_gradients_out:
            find_unused_parameters(self.trainer)
        # A model's own hook beside a datamodule is a warning of Lightning's.
        self.__dict__.pop("on_after_batch_transfer", None)
        owner = getattr(self.trainer, "datamodule", None) or self
        hook = owner.on_after_batch_transfer
        if not isinstance(hook, partial):
            owner.on_after_batch_transfer = partial(  # type: ignore[method-assign]
                _then_as_batch, hook
            )


def _then_as_batch(hook: Callable[[object, int], object], batch: object, index: int) -> Batch:
    return as_batch(hook(batch, index))
