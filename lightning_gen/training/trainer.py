"""Lightning's Trainer with arguments that a command line reads as they were written."""

from typing import Any, Literal

import torch
from lightning.fabric.plugins import CheckpointIO, TorchCheckpointIO
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.plugins import LayerSync, Precision
from lightning.pytorch.utilities import rank_zero_info
from torch import nn
from torch.backends.cpu import get_cpu_capability

from lightning_gen.errors import UserError
from lightning_gen.training.checkpoint import WholeCheckpoints

Compile = bool | Literal["max-autotune"]
"""Whether to compile, or the mode of torch.compile to do it in."""
WITHOUT_BF16 = ("NO AVX", "AVX2")
"""Processors on which an epoch of conf's VAE took 77 s in bf16-mixed and 16 s in 32-true."""

DEFAULTS: dict[str, Any] = {
    "default_root_dir": "logs",
    "enable_model_summary": False,
    "max_epochs": 20,
}
"""The options of a run whose defaults are other ones than Lightning's."""

Plugin = Precision | ClusterEnvironment | CheckpointIO | LayerSync


class RunTrainer(Trainer):
    """Lightning's Trainer; a limit of 1 is one batch and a limit of 1.0 is all of them.

    ``typing`` orders the members of Lightning's ``Union[int, float]`` by whatever was imported
    before, and a parser that tries float first makes 1.0 of the 1.

    A CPU without bfloat16 arithmetic computes in 32-true in place of bf16-mixed, and says so.

    Under Slurm Lightning would save in the middle of a step, into ``default_root_dir``, where any
    later run would find it and go on from it. That is off.

    Args:
        limit_train_batches: batches of a training epoch (int), or the share of them (float).
        limit_val_batches: batches of a validation (int), or the share of them (float).
        limit_test_batches: batches of a test (int), or the share of them (float).
        limit_predict_batches: batches of a prediction (int), or the share of them (float).
        overfit_batches: train and validate on so many batches (int), or the share of them (float).
        plugins: what Lightning is to use in place of its own precision, checkpoints or cluster.
        compile: compile the model's networks with torch.compile: true, or max-autotune to look
            longer for the fastest code.
        channels_last: keep convolutions' weights and maps with the channels innermost; by default
            in half precision on a GPU.
    """

    def __init__(
        self,
        *,
        limit_train_batches: int | float | None = None,
        limit_val_batches: int | float | None = None,
        limit_test_batches: int | float | None = None,
        limit_predict_batches: int | float | None = None,
        overfit_batches: int | float = 0.0,
        plugins: Plugin | list[Plugin] | None = None,
        compile: Compile = False,
        channels_last: bool | None = None,
        **kwargs: Any,  # noqa: ANN401  (Lightning's)
    ) -> None:
        super().__init__(
            limit_train_batches=limit_train_batches,
            limit_val_batches=limit_val_batches,
            limit_test_batches=limit_test_batches,
            limit_predict_batches=limit_predict_batches,
            overfit_batches=overfit_batches,
            plugins=with_quiet_slurm(as_list(plugins)),
            **kwargs,
        )
        if type(self.strategy.checkpoint_io) is TorchCheckpointIO:  # Lightning's default
            self.strategy.checkpoint_io = WholeCheckpoints()
        without = self.strategy.root_device.type == "cpu" and get_cpu_capability() in WITHOUT_BF16
        if self.precision == "bf16-mixed" and without and not plugins:
            self.strategy.precision_plugin = Precision()
            rank_zero_info("This processor would take long over bf16-mixed: 32-true is used.")
        self.compile = compile
        self.channels_last = channels_last

    def fit(self, model: LightningModule, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        """Train, as Lightning does, with the weights laid out and compiled as was asked for."""
        device = self.strategy.root_device
        innermost = self.channels_last
        if innermost is None:
            innermost = device.type == "cuda" and self.precision != "32-true"
        if innermost:
            model.to(memory_format=torch.channels_last)
        if self.compile:
            compile_networks(model, self.compile, device)
        super().fit(model, *arguments, **options)


def as_list(value: Any) -> list[Any]:  # noqa: ANN401
    """What stands in ``trainer.logger``, which may be one, several, or a switch."""
    if value is None or isinstance(value, bool):
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def with_quiet_slurm(plugins: list[Any]) -> list[Any]:
    """These plugins, with an environment of Slurm's jobs that saves and requeues nothing itself."""
    named = any(isinstance(plugin, ClusterEnvironment) for plugin in plugins)
    if not named and SLURMEnvironment.detect() and not TorchElasticEnvironment.detect():
        return [*plugins, SLURMEnvironment(auto_requeue=False)]
    return plugins


def compile_networks(model: LightningModule, mode: Compile, device: torch.device) -> None:
    """Have ``torch.compile`` translate each network of a model when it is first called.

    The numbers stay those of the plain networks, up to rounding, random ones too. A UserError says
    that torch cannot compile on this machine.
    """
    try:
        torch.compile(torch.square)(torch.ones(8, device=device))
    except Exception as error:  # a compiler that is missing or too old: each backend has its own
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UserError(
            f"trainer.compile: torch.compile does not work on this machine ({reason}). Install a "
            "C++ compiler, such as g++, or leave trainer.compile out."
        ) from error
    options = {"fallback_random": True, "max_autotune": mode == "max-autotune"}
    for network in model.children():
        called = type(network).forward is not nn.Module.forward
        if called and next(network.parameters(), None) is not None:
            network.compile(options=options)
