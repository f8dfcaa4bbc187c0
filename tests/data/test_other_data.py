"""A run goes on with the images that it was trained on, or is refused."""

import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint

from lightning_gen.callbacks import RandomState, Resume
from lightning_gen.data import MiniFashionMNIST
from lightning_gen.errors import UserError
from support.images import image_folder, write_noise
from support.ordered import QUIET, Numbered, Seen

pytestmark = pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")


def train(data, folder, checkpoint=None, epochs=1):
    callbacks = [RandomState(), Resume(), ModelCheckpoint(folder, save_last=True)]
    trainer = Trainer(max_epochs=epochs, callbacks=callbacks, **QUIET)
    trainer.fit(Seen(), data, ckpt_path=checkpoint)
    return trainer


def refused(data, folder, match):
    with pytest.raises(UserError, match=match) as caught:
        train(data, folder, folder / "last.ckpt", epochs=2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "other", "match"),
    [
        ({}, {"val_fraction": 0.2}, "training images 9000 in the checkpoint and 8000 now"),
        ({"binarize": "static"}, {}, "data.binarize 'static' in the checkpoint and None now"),
        ({}, {"train_classes": ("Bag",)}, "training images 9000 in the checkpoint and 900 now"),
    ],
)
def test_other_options_are_refused_with_both_values(tmp_path, arguments, other, match):
    train(MiniFashionMNIST(2000, **arguments), tmp_path)
    refused(MiniFashionMNIST(2000, **other), tmp_path, match)
    train(MiniFashionMNIST(2000, **arguments), tmp_path, tmp_path / "last.ckpt", epochs=2)


def test_another_dataset_is_refused(tmp_path):
    train(MiniFashionMNIST(2000), tmp_path)
    refused(Numbered(), tmp_path, "trained on MiniFashionMNIST, and the data is Numbered now")


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
    train(MiniFashionMNIST(2000), tmp_path)
    trainer = Trainer(**QUIET, callbacks=[RandomState(), Resume(), ModelCheckpoint(tmp_path)])
    seen = Seen()
    seen.test_step = seen.validation_step
    trainer.validate(seen, MiniFashionMNIST(2000, 0.3), tmp_path / "last.ckpt", verbose=False)
    assert sum(len(batch) for batch in seen.val_labels[0]) == 3000


def test_another_seed_is_told(tmp_path, caplog):
    seed_everything(1, verbose=False)
    train(Numbered(), tmp_path)
    seed_everything(2, verbose=False)
    with caplog.at_level("INFO"):
        train(Numbered(), tmp_path, tmp_path / "last.ckpt", epochs=2)
    assert "random numbers of seed 1; seed 2 is not used" in caplog.text


def test_what_is_kept_is_plain(tmp_path):
    train(MiniFashionMNIST(2000), tmp_path)
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)["MiniFashionMNIST"]
    assert state["trained_on"]["training images"] == 9000
    assert state["trained_on"]["image shape"] == [1, 28, 28]
