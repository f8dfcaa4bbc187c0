import pytest
import torch

from lightning_gen.errors import UserError
from lightning_gen.runs.checkpoint import load_checkpoint, load_model
from lightning_gen.runs.finished import FinishedRun


@pytest.fixture
def kept(finished):
    """The content of a checkpoint."""
    return load_checkpoint(finished / "checkpoints" / "last.ckpt")


def saved(tmp_path, content):
    path = tmp_path / "changed.ckpt"
    torch.save(content, path)
    return path


def test_a_checkpoint_gives_its_model_frozen(finished):
    model = load_model(finished / "checkpoints" / "last.ckpt")
    assert type(model).__name__ == "VAE"
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(
    ("class_path", "match"),
    [
        *((path, "which cannot be imported") for path in (None, "", "VAE", "no.such.Model")),
        ("lightning_gen.models.No", "which cannot be imported"),
        ("torch.nn.Linear", "names 'torch.nn.Linear' as its model, which is no LightningModule"),
        ("lightning_gen.models.vae.VAE.sample", "which is no LightningModule"),
        ("lightning_gen.cli.main", "pass --allow lightning_gen.cli or set"),
    ],
)
def test_what_is_no_model_is_one_line(class_path, match, kept, tmp_path, monkeypatch):
    monkeypatch.setenv("LIGHTNING_GEN_ALLOW", "no.such")
    kept["hyper_parameters"] = {"_class_path": class_path, "args": ["touch", "x"]}
    with pytest.raises(UserError, match=match):
        FinishedRun.open(saved(tmp_path, kept))


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
