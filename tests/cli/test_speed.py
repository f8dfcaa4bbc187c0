"""Options that make a step cost less change no number, and no step waits for the device."""

import warnings

import pytest
import torch
from lightning.pytorch import Callback
from torch.utils._python_dispatch import TorchDispatchMode

from lightning_gen import models
from lightning_gen.callbacks import FiniteLoss
from lightning_gen.data import MiniFashionMNIST
from lightning_gen.training.trainer import RunTrainer
from support.models import KINDS, QUIET, build
from support.refusals import assert_refused

SHORT = QUIET | {"max_epochs": 1, "limit_val_batches": 0}


def losses(kind, **options):
    """What is logged in the first step, which later ones would add rounding to."""
    torch.manual_seed(0)
    model = build(kind)
    trainer = RunTrainer(limit_train_batches=1, log_every_n_steps=1, **SHORT | options)
    trainer.fit(model, MiniFashionMNIST(batch_size=32))
    return {name: value.item() for name, value in trainer.callback_metrics.items()}, model


@pytest.mark.parametrize(
    ("capability", "precision"), [("AVX2", "32-true"), ("AVX512", "bf16-mixed")]
)
def test_a_processor_without_bfloat16_does_without(capability, precision, monkeypatch):
    monkeypatch.setattr("lightning_gen.training.trainer.get_cpu_capability", lambda: capability)
    found = RunTrainer(precision="bf16-mixed", **SHORT)
    assert found.precision == precision
    assert found.precision_plugin.precision == precision


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
        compiled, _ = losses(kind, compile=True)
    plain, _ = losses(kind)
    assert compiled == pytest.approx(plain, rel=1e-3, abs=1e-3)


def test_a_machine_that_cannot_compile_says_why(monkeypatch):
    def refuse(*_):
        raise RuntimeError("no C++ compiler\nand a long story")

    monkeypatch.setattr(torch, "compile", refuse)
    match = r"this machine \(no C\+\+ compiler\). Install"
    assert_refused(match, losses, models.VAE, compile=True)


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
    often = {"limit_train_batches": 6, "log_every_n_steps": 100}
    trainer = RunTrainer(callbacks=[watched, FiniteLoss()], **often, **SHORT)
    torch.manual_seed(0)
    trainer.fit(build(kind), MiniFashionMNIST(batch_size=32))
    first, *others = watched.waits
    assert others == [0] * 5  # the first one looks at the range of the images
    assert first > 0
