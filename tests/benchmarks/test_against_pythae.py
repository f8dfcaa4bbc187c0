"""Turns with pythae, in an environment that pip makes from the package index."""

import pytest
import torch

from lightning_gen.models import VAE, VQVAE
from lightning_gen.networks import Codebook, Conv, SpatialResidual
from support.benchmarks import (
    BENCHMARKS,
    assert_describes_the_machine,
    assert_positive,
    assert_spread,
    run,
)


@pytest.fixture(scope="module")
def venv(tmp_path_factory):
    """A folder with pythae's environment."""
    folder = tmp_path_factory.mktemp("pythae")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        from pythae_environment import pythae_python

        try:
            pythae_python(folder)
        except SystemExit as error:
            pytest.skip(f"the package index gives no pythae: {str(error).splitlines()[-1]}")
    return str(folder)


def test_a_folder_with_other_things_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from pythae_environment import check_ours

    check_ours(tmp_path / "new")
    check_ours(tmp_path)
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(SystemExit, match="holds other things"):
        check_ours(tmp_path)
    (tmp_path / "pyvenv.cfg").touch()
    check_ours(tmp_path)


@pytest.mark.slow
def test_vaes(tmp_path, venv):
    words = ("--batches", "3", "--conv-batches", "2", "--repeats", "2")
    results = run("against_pythae.py", tmp_path, *words, "--venv", venv, "--accelerator", "cpu")
    assert_describes_the_machine(results)
    assert results["pythae"] == "0.1.2"
    assert set(results["vaes"]) == {"dense", "conv"}
    for found in results["vaes"].values():
        assert_positive(found)
        assert_spread(found["over_pythae"])
        assert_spread(found["whole_epoch_over_pythae"])


@pytest.mark.slow
def test_vqvae(tmp_path, venv):
    words = ("--vqvae", "--batches", "2", "--epochs", "1", "--accelerator", "cpu")
    results = run("against_pythae.py", tmp_path, *words, "--venv", venv)
    assert_positive(results["vqvae"])
    assert results["vqvae"]["measured_epochs"] == 1
    # One epoch alone takes more than a thousandth of a hundred whole ones.
    assert results["vqvae"]["seconds"] > 10


@pytest.mark.parametrize(
    "model",
    [
        VAE((1, 28, 28), architecture=Conv((4, 8))),
        VQVAE((1, 28, 28), SpatialResidual((4, 8), 2), Codebook(8, 8)),
    ],
    ids=["VAE", "VQVAE"],
)
def test_plain_networks_compute_the_same_without_our_classes(model, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from plain_networks import plain

    images = torch.rand(2, 1, 28, 28)
    network = plain(model.encoder)
    torch.testing.assert_close(network(images), model.encoder(images), rtol=0, atol=0)
    assert {type(layer).__module__.split(".")[0] for layer in network.modules()} <= {
        "torch",
        "plain_networks",
    }
    assert not {*network.parameters()} & {*model.encoder.parameters()}


def test_a_whole_epoch_has_all_batches(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from against_pythae import Turns

    settings = {"images": {"train": 400}, "batch_size": 100, "full_epoch": 12}
    ours = [{"training": 2.0, "whole": 3.0}, {"training": 4.0, "whole": 6.0}]
    theirs = [{"training": 3.0, "whole": 8.0}, {"training": 12.0, "whole": 12.0}]
    turns = Turns(ours, theirs, {}, settings)
    assert turns.ratios() == [1.5, 3.0]
    assert turns.whole(ours) == [7.0, 14.0]
    assert turns.whole_ratios() == [2.0, 36 / 14]
    assert turns.images_per_second(ours) == 400 / 3
