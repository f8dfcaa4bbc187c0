from functools import cache, partial
from itertools import product

import pytest
import torch
from lightning.pytorch import seed_everything
from lightning.pytorch.plugins.precision import MixedPrecision
from torch.optim import SGD

from lightning_gen.data import MiniFashionMNIST
from support.models import KINDS, build, trainer_of

LARGE = ("DCGAN", "VQVAE", "IWAE", "ResVAE")
FAST = [(kind, "bf16-mixed") for kind in KINDS if kind.__name__ not in LARGE]
FAST += [(kind, "16-mixed") for kind in KINDS if kind.__name__ in ("VAE", "WAEGAN", "Classifier")]
CASES = [
    pytest.param(*case, marks=[] if case in FAST else pytest.mark.slow)
    for case in product(KINDS, ("bf16-mixed", "16-mixed"))
]


class HalfOnCPU(MixedPrecision):
    """What ``16-mixed`` does on a GPU, which Lightning refuses to do on a CPU."""

    def __init__(self):
        super().__init__("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=2.0**8))


@cache
def losses(kind, precision):
    """What is logged in three steps that change no weight, and in a validation."""
    seed_everything(0, verbose=False)
    rates = [name for name in build(kind).hparams if name.endswith("optimizer")]
    model = build(kind, **dict.fromkeys(rates, partial(SGD, lr=0.0)))
    plugins = [HalfOnCPU()] if precision == "16-mixed" else []
    options = {"plugins": plugins, "precision": None if plugins else precision}
    trainer = trainer_of(limit_train_batches=3, limit_val_batches=2, **options)
    trainer.fit(model, MiniFashionMNIST(batch_size=8))
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    return dict(trainer.callback_metrics)


@pytest.mark.parametrize(("kind", "precision"), CASES)
def test_losses_are_those_of_float32(kind, precision):
    exact, rounded = losses(kind, "32-true"), losses(kind, precision)
    assert exact.keys() == rounded.keys()
    for name in exact:
        assert rounded[name].dtype == torch.float32, f"{name} was summed in {rounded[name].dtype}"
        # Which of two codes is nearest is a matter of rounding too.
        tolerance = 0.2 if name.endswith("perplexity") else 0.01
        expected = pytest.approx(exact[name].item(), rel=tolerance, abs=0.02)
        assert rounded[name].item() == expected, name
