import subprocess

import pytest
import torch

from lightning_gen.errors import UserError
from lightning_gen.runs.checkpoint import load_checkpoint, load_model
from lightning_gen.runs.finished import FinishedRun


@pytest.fixture
def kept(finished):
    """The content of a checkpoint."""
    return load_checkpoint(finished / "checkpoints" / "last.ckpt")


@pytest.fixture
def nothing_runs(monkeypatch):
    def refuse(*arguments, **options):
        pytest.fail("a program was started")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    monkeypatch.setattr("os.system", refuse)


def saved(tmp_path, content):
    path = tmp_path / "changed.ckpt"
    torch.save(content, path)
    return path


class Evil:
    """Runs a program when it is unpickled."""

    def __reduce__(self):
        return subprocess.Popen, (["touch", "evil"],)


def test_a_checkpoint_gives_its_model_frozen(finished):
    model = load_model(finished / "checkpoints" / "last.ckpt")
    assert type(model).__name__ == "VAE"
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(
    ("class_path", "match"),
    [
        ("subprocess.Popen", "got subprocess.Popen, whose code would run"),
        ("os.system", "got os.system, whose code would run"),
        ("builtins.eval", "got builtins.eval, whose code would run"),
        ("lightning_gen.cli.main", "pass --allow lightning_gen.cli or set"),
        ("lightning_gen.models.vae.torch.load", "got torch.serialization.load, whose code"),
        ("torch.nn.Linear", "names 'torch.nn.Linear' as its model, which is no LightningModule"),
        ("lightning_gen.models.vae.VAE.sample", "which is no LightningModule"),
    ],
)
@pytest.mark.usefixtures("nothing_runs")
def test_what_is_no_model_is_not_called(class_path, match, kept, tmp_path):
    kept["hyper_parameters"] = {"_class_path": class_path, "args": ["touch", "x"], "command": "ls"}
    path = saved(tmp_path, kept)
    with pytest.raises(UserError, match=match):
        FinishedRun.open(path)


@pytest.mark.parametrize("instantiator", ["subprocess.Popen", "os.system", "builtins.print"])
@pytest.mark.usefixtures("nothing_runs")
def test_what_builds_the_model_cannot_be_chosen(instantiator, kept, tmp_path, capsys):
    kept["hyper_parameters"]["_instantiator"] = instantiator
    assert type(load_model(saved(tmp_path, kept))).__name__ == "VAE"
    assert not capsys.readouterr().out


@pytest.mark.parametrize("key", ["architecture", "likelihood", "optimizer", "objective"])
@pytest.mark.usefixtures("nothing_runs")
def test_a_part_that_starts_a_program_is_not_built(key, kept, tmp_path):
    part = {"class_path": "subprocess.Popen", "init_args": {"args": ["touch", "x"]}}
    kept["hyper_parameters"][key] = part
    with pytest.raises(UserError, match=r"got subprocess\.Popen, whose code would run"):
        load_model(saved(tmp_path, kept))


@pytest.mark.usefixtures("nothing_runs")
def test_a_pickle_that_starts_a_program_is_not_unpacked(kept, tmp_path):
    kept["callbacks"] = Evil()
    with pytest.raises(UserError, match="nothing in it was run"):
        load_model(saved(tmp_path, kept))


@pytest.mark.parametrize(
    "class_path", [None, "", "VAE", "no.such.Model", "lightning_gen.models.No"]
)
def test_a_model_that_cannot_be_imported_is_one_line(class_path, kept, tmp_path, monkeypatch):
    monkeypatch.setenv("LIGHTNING_GEN_ALLOW", "no.such")
    kept["hyper_parameters"]["_class_path"] = class_path
    with pytest.raises(UserError, match="which cannot be imported"):
        load_model(saved(tmp_path, kept))


def test_weights_that_do_not_fit_are_one_line(kept, tmp_path):
    kept["hyper_parameters"]["latent_dim"] = 3
    with pytest.raises(UserError, match="does not fit VAE as it is installed: ") as caught:
        load_model(saved(tmp_path, kept))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [0, 10, 1000, -10])
def test_a_cut_off_file_is_refused(finished, tmp_path, size):
    path = tmp_path / "broken.ckpt"
    path.write_bytes((finished / "checkpoints" / "last.ckpt").read_bytes()[:size])
    with pytest.raises(UserError, match=r"broken\.ckpt is broken"):
        load_checkpoint(path)


@pytest.mark.parametrize("content", [{"epoch": 3}, [1, 2], torch.zeros(3)])
def test_another_file_of_torch_is_no_checkpoint(tmp_path, content):
    with pytest.raises(UserError, match="it has no state_dict"):
        load_checkpoint(saved(tmp_path, content))
