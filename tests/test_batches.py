"""Plain DataLoaders give (images, labels); a model gets a Batch."""

import pytest
import torch
from lightning.pytorch import LightningDataModule, Trainer
from torch.utils.data import DataLoader, TensorDataset

from lightning_gen.contracts import Batch, as_batch
from lightning_gen.errors import UserError
from lightning_gen.models import VAE
from lightning_gen.networks import Dense
from lightning_gen.runs.inputs import SplitInputs
from support.finished import run_of

IMAGES = torch.arange(4 * 8 * 8, dtype=torch.uint8).view(4, 1, 8, 8)
LABELS = torch.tensor([3, 1, 0, 2])


def test_a_batch_is_left_alone():
    batch = Batch(IMAGES, LABELS, torch.empty(4, 0))
    assert as_batch(batch) is batch


@pytest.mark.parametrize("images", [IMAGES, IMAGES / 255, (IMAGES / 255).double()])
def test_images_alone_or_with_labels_or_factors(images):
    factors = torch.rand(4, 3)
    for given in (images, [images], (images, LABELS), [images, LABELS.int()], (images, factors)):
        batch = as_batch(given)
        assert batch.images.dtype == torch.float32
        assert torch.allclose(batch.images, IMAGES / 255)
        assert batch.labels.dtype == torch.int64
        second = given[1] if len(given) == 2 else None
        labelled = second is not None and second is not factors
        assert batch.labels.tolist() == (LABELS.tolist() if labelled else [0] * 4)
        assert torch.equal(batch.factors, factors if second is factors else torch.empty(4, 0))


@pytest.mark.parametrize(
    ("given", "got"),
    [
        ({"image": IMAGES}, "got dict"),
        ((IMAGES, ["a"] * 4), "got tuple"),
        (IMAGES[0], r"got shapes \[\(1, 8, 8\)\]"),
        ((LABELS, IMAGES), r"got shapes \[\(4,\), \(4, 1, 8, 8\)\]"),
        ([], "got shapes"),
    ],
)
def test_what_is_no_batch_of_images_is_refused(given, got):
    with pytest.raises(UserError, match=got) as caught:
        as_batch(given)
    assert "\n" not in str(caught.value)


class Plain(LightningDataModule):
    """What people have: no base, no Batch."""

    def train_dataloader(self):
        return DataLoader(TensorDataset(IMAGES, LABELS), 2)

    val_dataloader = test_dataloader = train_dataloader


@pytest.mark.parametrize("data", [Plain(), DataLoader(TensorDataset(IMAGES), 2)])
def test_a_model_trains_on_them(data):
    model = VAE((1, 8, 8), 2, Dense((8,)))
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, data)
    assert trainer.global_step == 2


def test_a_split_of_them_has_names():
    split = SplitInputs(run_of(VAE((1, 8, 8), 2, Dense((8,))), data=Plain()), "test")
    [(first, names), _] = split
    assert torch.allclose(first.images, IMAGES[:2] / 255)
    assert names == ["test/00000", "test/00001"]
    assert len(split) == 4
