"""What makes a step cost less changes no number."""

import os
import warnings

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch.utils._python_dispatch import TorchDispatchMode

from lightning_gen import models
from lightning_gen.callbacks import FiniteLoss
from lightning_gen.cli import compiling
from lightning_gen.cli.compiling import compile_networks
from lightning_gen.cli.empty_hooks import STEP_HOOKS, empty_hooks_skipped
from lightning_gen.cli.trainer import RunTrainer
from lightning_gen.data import MiniFashionMNIST
from support.command import SMALL
from support.models import KINDS, QUIET, build, tiny


def losses(kind, **options):
    """What is logged in four steps and a validation."""
    torch.manual_seed(0)
    model = build(kind)
    trainer = RunTrainer(
        max_epochs=1,
        limit_train_batches=4,
        limit_val_batches=1,
        log_every_n_steps=1,
        **QUIET | options,
    )
    trainer.fit(model, MiniFashionMNIST(batch_size=32))
    return {name: value.item() for name, value in trainer.callback_metrics.items()}, model


@pytest.mark.parametrize("kind", KINDS)
def test_channels_last_changes_no_loss(kind):
    plain, _ = losses(kind)
    innermost, model = losses(kind, channels_last=True)
    assert innermost == pytest.approx(plain, rel=1e-3, abs=1e-3)
    for weight in (p for p in model.parameters() if p.dim() == 4 and p.numel() > max(p.shape)):
        assert weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [models.VAE, models.VQVAE, models.DCGAN])
def test_compiled_networks_change_no_loss(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own
        warnings.filterwarnings("error", message="torch.compile does not work")
        compiled, _ = losses(kind, compile=True)
    plain, _ = losses(kind)
    assert compiled == pytest.approx(plain, rel=1e-3, abs=1e-3)


def test_a_machine_that_cannot_compile_says_why_and_trains(monkeypatch):
    def refuse(*_):
        raise RuntimeError("no C++ compiler\nand a long story")

    monkeypatch.setattr(compiling.torch, "compile", refuse)
    with pytest.warns(UserWarning, match=r"this machine \(no C\+\+ compiler\); training goes on"):
        compiled, _ = losses(models.VAE, compile=True)
    assert compiled == losses(models.VAE)[0]


def test_a_network_that_cannot_be_compiled_says_why_and_runs_as_it_is(monkeypatch):
    def fails_later(call, **_):
        def fail(*arguments):
            raise RuntimeError("too strange")

        return call if call is torch.square else fail

    monkeypatch.setattr(compiling.torch, "compile", fails_later)
    with pytest.warns(UserWarning, match=r"the model's (en|de)coder \(too strange\)") as said:
        compiled, _ = losses(models.VAE, compile=True)
    assert len([warning for warning in said if "too strange" in str(warning.message)]) == 2
    assert compiled == losses(models.VAE)[0]


@pytest.mark.slow
def test_an_error_of_the_network_itself_is_its_own():
    model = build(models.VAE)
    compile_networks(model, True, torch.device("cpu"))
    with pytest.raises(RuntimeError, match=r"shapes cannot be multiplied|size"):
        model.decoder(torch.zeros(2, 3, requires_grad=True))


FETCHES = ("item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__")


class Waits(TorchDispatchMode):
    """Counts the numbers that are fetched from the device, for which a GPU is waited for."""

    def __init__(self, monkeypatch):
        super().__init__()
        self.count = 0
        for name in FETCHES:
            monkeypatch.setattr(torch.Tensor, name, self.counted(getattr(torch.Tensor, name)))

    def counted(self, fetch):
        def count_and_fetch(*arguments, **options):
            self.count += 1
            return fetch(*arguments, **options)

        return count_and_fetch

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function.name() in ("aten::_local_scalar_dense", "aten::nonzero")
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("kind", KINDS)
def test_no_step_waits_for_the_device(kind):
    class Watched(Callback):
        def __init__(self):
            self.waits = []

        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            self.patch = pytest.MonkeyPatch()
            self.mode = Waits(self.patch)
            self.mode.__enter__()

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            self.mode.__exit__(None, None, None)
            self.patch.undo()
            self.waits.append(self.mode.count)

    watched = Watched()
    trainer = RunTrainer(
        max_epochs=1,
        limit_train_batches=6,
        limit_val_batches=0,
        log_every_n_steps=100,
        callbacks=[watched, FiniteLoss()],
        **QUIET,
    )
    torch.manual_seed(0)
    trainer.fit(build(kind), MiniFashionMNIST(batch_size=32))
    first, *others = watched.waits
    assert others == [0] * 5  # the first one looks at the range of the images
    assert first > 0


def test_a_hook_that_does_nothing_is_not_called_and_comes_back():
    class Counts(Callback):
        def __init__(self):
            self.ends = 0

        def on_train_batch_end(self, *_):
            self.ends += 1

    counts, trainer = Counts(), RunTrainer(max_steps=3, limit_val_batches=0, **QUIET)
    trainer.callbacks.append(counts)
    with empty_hooks_skipped(trainer):
        skipped = {hook for hook in STEP_HOOKS if getattr(counts, hook) is None}
        assert skipped == {*STEP_HOOKS} - {"on_train_batch_end"}
    assert all(callable(getattr(counts, hook)) for hook in STEP_HOOKS)
    trainer.fit(tiny(), MiniFashionMNIST(batch_size=20))
    assert counts.ends == 3
    assert all(callable(getattr(counts, hook)) for hook in STEP_HOOKS)


def test_hooks_come_back_after_an_error():
    counts, trainer = Callback(), Trainer(**QUIET)
    trainer.callbacks.append(counts)
    with pytest.raises(ZeroDivisionError), empty_hooks_skipped(trainer):
        _ = 1 / 0
    assert counts.on_before_backward(None, None, None) is None


def test_a_fit_on_the_cpu_does_not_look_for_a_gpu_at_every_step(command, monkeypatch):
    monkeypatch.setenv("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    assert command("fit", *SMALL).code == 0
    assert os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] == "0"
