"""Trainings that begin with the weights of another one."""

import pytest
import torch
from safetensors.torch import save_file

import lightning_gen as lg
from lightning_gen.errors import UserError
from lightning_gen.models import AE, DCGAN, VAE
from lightning_gen.networks import Conv, Dense
from lightning_gen.training.warm_start import freeze, start_from
from support.models import build, tiny
from support.refusals import assert_refused

SHORT = {
    **{"accelerator": "cpu", "devices": 1, "max_epochs": 1, "limit_train_batches": 2},
    **{"limit_val_batches": 1, "limit_test_batches": 1, "enable_progress_bar": False},
    "default_pictures": False,
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("finished")
    return lg.fit(tiny(), lg.data.MiniFashionMNIST(), name="r", default_root_dir=root, **SHORT)


@pytest.mark.parametrize("form", ["run", "checkpoint", "safetensors"])
def test_the_weights_are_those_of_the_other_run(form, finished, tmp_path):
    weights = finished.model.state_dict()
    place = {"run": finished.path, "checkpoint": finished.checkpoint}.get(form)
    if place is None:
        place = tmp_path / "weights.safetensors"
        save_file(weights, place)
    model = tiny()
    start_from(model, place, strict=True)
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[name])


def test_what_does_not_fit_is_named_and_begins_anew(finished, caplog):
    model = tiny(architecture=Dense((16, 12)))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    start_from(model, finished.path)
    assert "2 of 12 tensors begin with the weights of" in caplog.text
    assert "Of another shape: encoder.3.weight (12x16 here, 8x16 there)" in caplog.text
    assert "New here: encoder.5.weight" in caplog.text
    taken = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert taken == {"encoder.1.weight", "encoder.1.bias"}
    assert_refused("leave --init_strict out", start_from, model, finished.path, strict=True)
    assert_refused("do not fit DCGAN", start_from, build(DCGAN), finished.path)
    assert_refused("cannot be read", start_from, model, "nothing.safetensors")


def test_a_layer_that_was_not_loaded_begins_at_the_data(tmp_path):
    """The mean image of a decoder's bias, where the weights are of a smaller network."""
    small, large = (Dense(widths, start_at_mean=True) for widths in ((16,), (20,)))
    data = lg.data.MiniFashionMNIST()
    options = {"default_root_dir": tmp_path, **SHORT}
    first = lg.fit(tiny(architecture=small), data, name="a", **options)
    again, other = tiny(architecture=small), tiny(architecture=large)
    start_from(again, first.path)
    start_from(other, first.path)
    assert [layer.started for layer in again.modules() if hasattr(layer, "started")] == [True]
    assert [layer.started for layer in other.modules() if hasattr(layer, "started")] == [False]


def test_frozen_parts_stay(finished, tmp_path):
    model = VAE((1, 28, 28), 4, Conv((4, 8), normalization=torch.nn.BatchNorm2d))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    data = lg.data.MiniFashionMNIST()
    run = lg.fit(model, data, freeze="encoder", default_root_dir=tmp_path, **SHORT)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]) == name.startswith("encoder."), name
    assert run.config["freeze"] == ["encoder"]


def test_names_of_frozen_parts():
    model = tiny()
    freeze(model, ["decoder.0", "encoder.1.bias"])
    fixed = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert fixed == {"decoder.0.weight", "decoder.0.bias", "encoder.1.bias"}
    assert_refused("has no encodr. Did you mean encoder?", freeze, tiny(), "encodr")
    assert_refused("nothing is left to train", freeze, tiny(AE), ["encoder", "decoder"])


def test_the_command(finished, command, caplog):
    words = ("--model", "VAE", "--model.latent_dim", "4", "--model.architecture", "Dense")
    words += ("--model.architecture.widths", "[16]", "--data", "MiniFashionMNIST", "--name", "w")
    for name, value in SHORT.items():
        words += (f"--trainer.{name}" if name != "default_pictures" else f"--{name}", str(value))
    command("fit", *words, "--init_from", finished.path, "--freeze", "encoder").done()
    assert "8 of 8 tensors begin with the weights of" in caplog.text
    assert "parameters are frozen: encoder" in caplog.text
    model = lg.load("w")
    assert torch.equal(model.encoder[1].weight, finished.model.encoder[1].weight)
    command("fit", *words, "--freeze", "encoder", "--ckpt_path", "last").done()
    assert "a new training of its weights is --init_from" in caplog.text
    command("fit", *words, "--init_from", "nowhere").refused("nowhere")


def test_a_stranger_s_file_runs_nothing(tmp_path, capsys):
    class Evil:
        def __reduce__(self):
            return print, ("it ran",)

    torch.save({"state_dict": Evil()}, tmp_path / "x.ckpt")
    with pytest.raises(UserError, match="nothing in it was run"):
        start_from(tiny(), tmp_path / "x.ckpt")
    (tmp_path / "x.safetensors").write_bytes(b"no header")
    assert_refused("cannot be read", start_from, tiny(), tmp_path / "x.safetensors")
    assert "it ran" not in capsys.readouterr().out
