"""A training step as Lightning takes it, and what can be seen of it from outside."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_gen.cli.empty_hooks import HOOKS_WITHIN
from lightning_gen.cli.graph_rate import reads_its_rate
from lightning_gen.cli.stand_ins import stand_ins
from lightning_gen.models.one_cycle import OneCycle

Output = dict[str, Any]
"""What a step hands to ``on_train_batch_end``."""


class Step:
    """A training step as Lightning takes it.

    Args:
        trainer: it trains.
        model: it is trained.
        loop: Lightning's, for one optimizer or for a model that optimises by hand.
    """

    def __init__(self, trainer: Trainer, model: LightningModule, loop: Any) -> None:  # noqa: ANN401
        self.trainer = trainer
        self.model = model
        self.take: Callable[..., Output] = loop.run
        parts: list[Any]
        if model.automatic_optimization:
            progress = loop.optim_progress.optimizer
            parts = [progress.step, progress.zero_grad]
        else:
            parts = [loop.optim_step_progress]
        self.trackers = [tracker for part in parts for tracker in (part.total, part.current)]

    def counts(self) -> list[dict[str, int]]:
        """How often Lightning did what it counts in a step."""
        return [dict(vars(tracker)) for tracker in self.trackers]

    def groups(self) -> list[dict[str, Any]]:
        """The groups of parameters of all optimizers."""
        return [group for optimizer in self.trainer.optimizers for group in optimizer.param_groups]

    @contextmanager
    def watched(self) -> Iterator[list[str]]:
        """Within, notice what a step does that a replay of it would not."""
        seen = []
        for optimizer in self.trainer.optimizers:
            if not all(reads_its_rate(group) for group in optimizer.param_groups):
                name = type(optimizer).__name__
                seen.append(f"{name} is neither fused nor capturable, which are options of it")

        def noting(what: str, call: Callable[..., Any]) -> Callable[..., Any]:
            def note_and_call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
                seen.append(f"training_step {what} at each step")
                return call(*arguments, **options)

            return note_and_call

        schedulers = [s for s in self.schedulers() if not isinstance(s, OneCycle)]
        noted = [(s, "step", noting("steps a scheduler", s.step)) for s in schedulers]
        log = self.model, "log", noting("logs", self.model.log)
        buffers = dict(self.model.named_buffers())
        with stand_ins(log, *noted):
            yield seen
        for name, buffer in self.model.named_buffers():
            if buffers.get(name) is not buffer:
                seen.append(f"training_step puts another tensor in the place of {name}")

    def quiet(self) -> AbstractContextManager[None]:
        """Within, no callback hears what happens in a step, and no scheduler moves."""
        callbacks: list[Callback] = self.trainer.callbacks  # type: ignore[attr-defined]
        hooks = [(callback, hook) for callback in callbacks for hook in HOOKS_WITHIN]
        unheard = [(c, hook, None) for c, hook in hooks if hook not in vars(c)]
        at_rest = [(s, "step", do_nothing) for s in self.schedulers()]
        return stand_ins(*unheard, *at_rest)

    def schedulers(self) -> list[Any]:
        """Those of all optimizers."""
        return [config.scheduler for config in self.trainer.lr_scheduler_configs]


def do_nothing(*_: object) -> None:
    """Do nothing."""
