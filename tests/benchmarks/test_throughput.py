import bare
import pytest
import torch

from lightning_gen.data import MiniFashionMNIST
from lightning_gen.models import VAE
from lightning_gen.networks import Dense
from support.benchmarks import assert_describes_the_machine, assert_positive, assert_spread, run
from support.models import terms_of


@pytest.mark.slow
def test_throughput(tmp_path):
    sizes = ["--batches", "4", "--conv-batches", "2", "--repeats", "2"]
    results = run("throughput.py", tmp_path, *sizes)
    assert_describes_the_machine(results)
    assert results["settings"] == {"repeats": 2, "real_data": False}
    usual = {"dense, DataLoader", "dense, DataLoader with 2 workers"}
    assert set(results["fits"]) == {"conv", "dense"} | usual
    for name, fit in results["fits"].items():
        assert_positive(fit)
        for loop in ["bare"] if name in usual else ["bare", "tuned"]:
            assert_spread(fit[f"over_{loop}"])


PIXELS = 32


@pytest.fixture
def pixels():
    return MiniFashionMNIST().load("test").images[:PIXELS]


@pytest.mark.parametrize("kind", ["BareLoop", "TunedLoop", "CompiledLoop"])
def test_every_loop_minimises_the_models_own_loss(pixels, kind, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, **options: function)
    model = VAE((1, 28, 28), latent_dim=3, architecture=Dense((8,)))
    loop = getattr(bare, kind)(model, pixels, batch_size=PIXELS)
    torch.manual_seed(1)
    expected = terms_of(model, loop.images, training_step=0)["loss"]
    torch.manual_seed(1)
    torch.testing.assert_close(loop.loss(loop.images), expected)
    before = loop.loss(loop.images).item()
    loop.train(batches=20)
    assert loop.loss(loop.images).item() < before - 10
