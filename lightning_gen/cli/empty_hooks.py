"""The hooks of a training step that do nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

from lightning.pytorch import Callback, Trainer

from lightning_gen.cli.stand_ins import stand_ins

HOOKS_WITHIN = (
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
)
"""The hooks of a callback that are called within a step."""

STEP_HOOKS = ("on_train_batch_start", *HOOKS_WITHIN, "on_train_batch_end")


@contextmanager
def empty_hooks_skipped(trainer: Trainer) -> Iterator[None]:
    """Within, Lightning passes by the hooks of a step that a callback does not have.

    It calls what is callable, each with a profiler's context and its name in words: 0.09 ms a step,
    with eighteen callbacks.
    """
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    skipped = [
        (callback, hook, None)
        for callback in callbacks
        for hook in STEP_HOOKS
        if getattr(type(callback), hook) is getattr(Callback, hook)
    ]
    with stand_ins(*skipped):
        yield
