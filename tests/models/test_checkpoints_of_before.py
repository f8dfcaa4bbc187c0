"""A checkpoint of each model as version 0.1.0 wrote it on 2026-11-27 (commit 9e29e42): it loads."""

from pathlib import Path

import pytest
import torch

from lightning_gen.contracts import Batch, Reconstructs, SamplesImages, able, condition_on
from lightning_gen.hyperparameters import KeepsArguments
from lightning_gen.training.checkpoint import load_model
from lightning_gen.training.same_model import check_same_model

KEPT = torch.load(Path(__file__).with_name("checkpoints_0_1_0.pt"), weights_only=True)
BATCH = Batch(KEPT["images"], torch.tensor([0, 1]), torch.tensor([[0, 1], [1, 0]]))


@pytest.mark.parametrize("name", KEPT["models"])
def test_it_gives_what_it_gave(name, tmp_path):
    checkpoint, expected = KEPT["models"][name]
    torch.save(checkpoint, tmp_path / "old.ckpt")
    model = load_model(tmp_path / "old.ckpt")
    if able(model, (Reconstructs,)):
        found = condition_on(model, BATCH).reconstruct(BATCH.images)
    elif isinstance(model, SamplesImages):
        torch.manual_seed(0)
        found = model.sample(2)
    else:
        found = model.encode(BATCH.images)
    torch.testing.assert_close(found, expected)
    assert isinstance(model, KeepsArguments)
    check_same_model(model, tmp_path / "old.ckpt")
    model.hparams["image_shape"] = [1, 9, 9]
    with pytest.raises(ValueError, match=r"trained with image_shape \[1, 8, 8\]"):
        check_same_model(model, tmp_path / "old.ckpt")
