"""A stopped and resumed run ends, to the bit, where the uninterrupted one does, or is refused."""

from functools import partial

import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint

from lightning_gen.callbacks import RandomState, Resume
from lightning_gen.models import VAE
from lightning_gen.networks import Dense
from support.images import image_folder, write_noise
from support.ordered import QUIET, Decoding, KilledError, Numbered, Seen, StopAt, Tiny
from support.refusals import assert_refused

# A resumed run saves where the stopped one did.
pytestmark = pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")

EPOCHS, BATCHES = 3, 8


class TinyDecoding(Tiny):
    def __init__(self):
        super().__init__()
        self.num_workers = 2

    def load(self, split):
        return Decoding(super().load(split))


def run(data, folder, checkpoint=None, stop=None, epochs=EPOCHS, validate=True, **saving):
    """Train in a fresh Trainer, with the seed of the run as its config would set it.

    Returns the parameters at the end, or the checkpoint that is left when the run is killed.
    """
    seed_everything(5, verbose=False)
    model = VAE(data.image_shape, 3, Dense((8,)))
    keep = ModelCheckpoint(folder, save_top_k=-1, **saving)
    callbacks = [RandomState(), keep] + ([] if stop is None else [StopAt(stop)])
    limit = {} if validate else {"limit_val_batches": 0}
    trainer = Trainer(max_epochs=epochs, callbacks=callbacks, **QUIET, **limit)
    if stop is None:
        trainer.fit(model, data, ckpt_path=checkpoint)
        assert trainer.global_step == epochs * BATCHES
        return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    with pytest.raises(KilledError):
        trainer.fit(model, data, ckpt_path=checkpoint)
    return keep.best_model_path


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The parameters of the run that nobody stopped, by what is random in its images."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    kinds = {None: Tiny(), "binarize": Tiny("dynamic"), "mirror": Tiny(mirror=True)}
    return {name: run(data, folder) for name, data in kinds.items()}


MID_EPOCH = {"every_n_train_steps": 11}
AFTER_VALIDATION = {"save_on_train_epoch_end": False}


@pytest.mark.parametrize(
    ("kind", "arguments", "saving"),
    [
        pytest.param(Tiny, {}, MID_EPOCH, id="mid-epoch"),
        pytest.param(Tiny, {}, {"every_n_train_steps": 9}, id="the first batch of an epoch"),
        pytest.param(Tiny, {}, {"every_n_train_steps": 8}, id="the last batch of an epoch"),
        pytest.param(Tiny, {}, {"save_on_train_epoch_end": True}, id="the end of an epoch"),
        pytest.param(Tiny, {}, AFTER_VALIDATION, id="the end of validation"),
        pytest.param(Tiny, {"binarize": "dynamic"}, MID_EPOCH, id="binarisation, mid-epoch"),
        pytest.param(Tiny, {"mirror": True}, MID_EPOCH, id="mirrored, mid-epoch"),
        pytest.param(Tiny, {"binarize": "dynamic"}, AFTER_VALIDATION, id="binarisation, its end"),
        pytest.param(TinyDecoding, {}, MID_EPOCH, id="workers, mid-epoch"),
        pytest.param(TinyDecoding, {}, AFTER_VALIDATION, id="workers, the end of an epoch"),
    ],
)
def test_resume_is_exact(kind, arguments, saving, tmp_path, uninterrupted):
    checkpoint = run(kind(**arguments), tmp_path, stop=15, **saving)
    resumed = run(kind(**arguments), tmp_path, checkpoint, **saving)
    assert torch.equal(resumed, uninterrupted[next(iter(arguments), None)])


def test_resume_at_the_last_batch_without_validation(tmp_path):
    saving = {"every_n_train_steps": 8, "validate": False}
    checkpoint = run(Tiny(), tmp_path / "stopped", stop=15, **saving)
    resumed = run(Tiny(), tmp_path / "stopped", checkpoint, **saving)
    assert torch.equal(resumed, run(Tiny(), tmp_path / "whole", **saving))


def test_resume_after_resume_is_exact(tmp_path, uninterrupted):
    saving = {"every_n_train_steps": 3}
    first = run(Tiny(), tmp_path, stop=4, **saving)
    second = run(Tiny(), tmp_path, first, stop=11, **saving)
    assert second != first
    assert torch.equal(run(Tiny(), tmp_path, second, **saving), uninterrupted[None])


def train(data, folder, checkpoint=None, epochs=1):
    callbacks = [RandomState(), Resume(), ModelCheckpoint(folder, save_last=True)]
    trainer = Trainer(max_epochs=epochs, callbacks=callbacks, **QUIET)
    trainer.fit(Seen(), data, ckpt_path=checkpoint)
    return trainer


def refused(data, folder, match):
    assert_refused(match, train, data, folder, folder / "last.ckpt", epochs=2)


@pytest.mark.parametrize(
    ("data", "other", "match"),
    [
        (Tiny, partial(Tiny, val_fraction=0.4), "training images 80 in the checkpoint and 60 now"),
        (partial(Tiny, "static"), Tiny, "data.binarize 'static' in the checkpoint and None now"),
        (Tiny, partial(Tiny, train_classes=("Bag",)), "images 80 in the checkpoint and 9 now"),
        (Tiny, Numbered, "trained on Tiny, and the data is Numbered now"),
    ],
)
def test_other_data_are_refused_with_both_values(tmp_path, data, other, match):
    train(data(), tmp_path)
    refused(other(), tmp_path, match)
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)["Tiny"]
    assert state["trained_on"]["image shape"] == [1, 28, 28]
    train(data(), tmp_path, tmp_path / "last.ckpt", epochs=2)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda root: (root / "03.png").unlink(), "training images 32 .* and 31 now"),
        (lambda root: (root / "03.png").rename(root / "99.png"), "digest of the images '"),
    ],
)
def test_another_list_of_files_is_refused(tmp_path, change, match):
    root, folder = tmp_path / "photos", tmp_path / "checkpoints"
    write_noise(root, [f"{number:02}.png" for number in range(40)])
    train(image_folder(root), folder)
    change(root)
    refused(image_folder(root), folder, match)


def test_testing_on_other_data_is_no_going_on(tmp_path):
    train(Tiny(), tmp_path)
    trainer = Trainer(**QUIET, callbacks=[RandomState(), Resume(), ModelCheckpoint(tmp_path)])
    seen = Seen()
    with pytest.warns(UserWarning, match="images of the validation split may have been trained"):
        trainer.validate(seen, Tiny(val_fraction=0.3), tmp_path / "last.ckpt", verbose=False)
    assert sum(len(batch) for batch in seen.val_labels[0]) == 30


def test_another_seed_is_told(tmp_path, caplog):
    seed_everything(1, verbose=False)
    train(Numbered(), tmp_path)
    seed_everything(2, verbose=False)
    train(Numbered(), tmp_path, tmp_path / "last.ckpt", epochs=2)
    assert "random numbers of seed 1; seed 2 is not used" in caplog.text
