"""Lightning's Trainer with arguments that a command line reads as they were written."""

import re
from contextlib import nullcontext
from typing import Any

import torch
from jsonargparse import Namespace
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.profilers import PassThroughProfiler, Profiler
from lightning.pytorch.strategies import DDPStrategy

from lightning_gen.allowed import imported, refusal
from lightning_gen.cli.compiling import Compile, compile_networks
from lightning_gen.cli.empty_hooks import empty_hooks_skipped
from lightning_gen.cli.parser import BadArgumentsError
from lightning_gen.cli.process import stop_looking_for_a_gpu
from lightning_gen.cli.step_graphs import graphed_steps
from lightning_gen.runs.checkpoint_io import WholeCheckpoints

PRECISIONS = ("None", "32-true", "32", "bf16-mixed", "bf16", "16-mixed", "16")


class NoProfiler(PassThroughProfiler):
    """What a run without a profiler has. Lightning's own makes a generator 80 times a step."""

    nothing = nullcontext()

    def profile(self, action_name: str) -> nullcontext[None]:  # type: ignore[override]
        """The same empty context each time."""
        return self.nothing


class RunTrainer(Trainer):
    """Lightning's Trainer; a limit of 1 is one batch and a limit of 1.0 is all of them.

    ``typing`` orders the members of Lightning's ``Union[int, float]`` by whatever was imported
    before, and a parser that tries float first makes 1.0 of the 1.

    Under Slurm Lightning would save in the middle of a step, into ``default_root_dir``, where any
    later run would find it and go on from it. That is off.

    Args:
        limit_train_batches: batches of a training epoch (int), or the share of them (float).
        limit_val_batches: batches of a validation (int), or the share of them (float).
        limit_test_batches: batches of a test (int), or the share of them (float).
        limit_predict_batches: batches of a prediction (int), or the share of them (float).
        overfit_batches: train and validate on so many batches (int), or the share of them (float).
        compile: compile the model's networks with torch.compile: true, or max-autotune to look
            longer for the fastest code. Where that fails they run as they are.
        cuda_graphs: replay training steps as CUDA graphs on one GPU, for models whose step is
            short. Where that is not possible they are taken without.
        channels_last: keep convolutions' weights and maps with the channels innermost; by default
            in half precision on a GPU.
    """

    profiler: Profiler

    def __init__(
        self,
        *,
        limit_train_batches: int | float | None = None,
        limit_val_batches: int | float | None = None,
        limit_test_batches: int | float | None = None,
        limit_predict_batches: int | float | None = None,
        overfit_batches: int | float = 0.0,
        compile: Compile = False,
        cuda_graphs: bool = False,
        channels_last: bool | None = None,
        **kwargs: Any,  # noqa: ANN401  (Lightning's)
    ) -> None:
        super().__init__(
            limit_train_batches=limit_train_batches,
            limit_val_batches=limit_val_batches,
            limit_test_batches=limit_test_batches,
            limit_predict_batches=limit_predict_batches,
            overfit_batches=overfit_batches,
            **kwargs,
        )
        self.compile = compile
        self.cuda_graphs = cuda_graphs
        self.channels_last = channels_last
        # Interruption asks all processes, and less often than before every batch.
        self.fit_loop.epoch_loop._broadcast_sigterm_tensor = nothing  # type: ignore[method-assign]
        if type(self.profiler) is PassThroughProfiler:
            self.profiler = NoProfiler()
        environment = self._accelerator_connector.cluster_environment
        if isinstance(environment, SLURMEnvironment):
            environment.auto_requeue = False

    def fit(self, model: LightningModule, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        """Train, as Lightning does, with what makes a step cost less."""
        device = self.strategy.root_device
        if device.type == "cpu":
            stop_looking_for_a_gpu()
        innermost = self.channels_last
        if innermost is None:
            innermost = device.type == "cuda" and self.precision != "32-true"
        if innermost:
            model.to(memory_format=torch.channels_last)
        if self.compile:
            compile_networks(model, self.compile, device)
        graphs = graphed_steps(self, model) if self.cuda_graphs else nullcontext()
        with empty_hooks_skipped(self), graphs:
            super().fit(model, *arguments, **options)


def nothing() -> None:
    """Do nothing."""


def write_checkpoints_whole(trainer: Trainer) -> None:
    """Let our checkpoints take the place of Lightning's default, and of no other."""
    if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
        trainer.strategy.checkpoint_io = WholeCheckpoints()


def check_trainer_parts(options: Namespace) -> None:
    """Raise a BadArgumentsError for what Lightning would take, and fail at later.

    A class that may not be named is among it: accelerators, profilers and strategies may be words
    too, such as ``ddp``, and the parser takes such a class for one.
    """
    if options.accumulate_grad_batches < 1:
        raise BadArgumentsError(
            f"trainer.accumulate_grad_batches is at least 1, got {options.accumulate_grad_batches}."
        )
    if str(options.precision) not in PRECISIONS:
        raise BadArgumentsError(
            f"trainer.precision is 32-true, bf16-mixed or 16-mixed, got {options.precision}: "
            "weights and likelihoods are kept in float32."
        )
    for key in ("accelerator", "profiler", "strategy"):
        name = re.search(r"\w+(\.\w+)+", str(options[key]))
        if name and isinstance(options[key], str):
            try:
                imported(name[0])
            except (ImportError, AttributeError, ValueError) as error:
                reason = refusal(str(error)) or f"there is no class {name[0]}."
                raise BadArgumentsError(f"trainer.{key}: {reason}") from error


def is_about_devices(error: BaseException) -> bool:
    """Whether Lightning refuses ``trainer.devices``, for which it has errors of two kinds."""
    said = r"`devices` selected with `\w+` should be|`Trainer\(devices=.*\)` value is not a valid"
    return re.search(said, str(error)) is not None


def let_gradients_be_missing(trainer: Trainer, model: LightningModule) -> None:
    """Prepare DDP, however it was asked for, for a model that says so by ``leaves_gradients_out``.

    Where a backward pass leaves some parameters without a gradient, as each one of a GAN does, DDP
    waits for them unless it is told to find out which are missing.
    """
    if isinstance(trainer.strategy, DDPStrategy) and getattr(model, "leaves_gradients_out", False):
        trainer.strategy._ddp_kwargs.setdefault("find_unused_parameters", True)
