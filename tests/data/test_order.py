import warnings
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint

from lightning_gen.callbacks import RandomState
from lightning_gen.data import MiniFashionMNIST
from lightning_gen.training.record import batch_in_words
from support.ordered import QUIET, Numbered, Seen, fit, fit_on_two_processes, labels_of
from support.processes import IMPORTED


class Labelling(Seen):
    def predict_step(self, batch, batch_idx):
        return batch.labels


def test_processes_without_a_seed_share_out_the_images(tmp_path):
    process = IMPORTED.Process(target=fit_on_two_processes, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == 0
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for epoch in range(2):
        shards = [[label for batch in rank[epoch] for label in batch] for rank in ranks]
        assert [len(shard) for shard in shards] == [40, 40]
        assert len({*shards[0], *shards[1]}) == 80
    assert ranks[0][0] != ranks[0][1]


def test_loaders_that_are_built_anew_keep_the_order():
    orders = []
    for every in (0, 1):
        seed_everything(5, verbose=False)
        callbacks = [RandomState()]  # changes torch's initial seed
        seen = fit(Numbered(), callbacks=callbacks, reload_dataloaders_every_n_epochs=every)
        orders.append([*seen.train_labels.values()])
    first, second, third = orders[0]
    assert orders[1] == [first, second, third]
    assert first != second != third


def test_another_seed_is_another_order_for_the_same_datamodule():
    data, orders = Numbered(), []
    for seed in (1, 2, 1):
        seed_everything(seed, verbose=False)
        orders.append(fit(data).train_labels)
    assert orders[0] == orders[2] != orders[1]


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
def test_a_run_without_a_seed_goes_on_in_its_order(tmp_path):
    keep = ModelCheckpoint(tmp_path, every_n_train_steps=13, save_top_k=-1)
    whole = fit(Numbered(), callbacks=[keep], enable_checkpointing=True)
    torch.manual_seed(99)
    [checkpoint] = tmp_path.glob("*step=13.ckpt")
    keep = ModelCheckpoint(tmp_path, every_n_train_steps=13, save_top_k=-1)
    resumed = fit(Numbered(), checkpoint, callbacks=[keep], enable_checkpointing=True)
    assert resumed.train_labels[1] == whole.train_labels[1][3:]
    assert resumed.train_labels[2] == whole.train_labels[2]


@pytest.mark.parametrize(("overfit", "batches"), [(2, 2), (0.3, 2), (1.0, 7)])
def test_overfit_batches_takes_the_same_ones_each_epoch(overfit, batches):
    seen = fit(Numbered(val_fraction=0.5), overfit_batches=overfit)
    first, *others = seen.train_labels.values()
    assert len(first) == batches
    assert all(epoch == first for epoch in others)
    assert all(epoch == other for epoch, other in pairwise(seen.val_labels.values()))


def test_lightning_neither_exchanges_the_loader_nor_asks_for_workers(monkeypatch):
    connector = "lightning.pytorch.trainer.connectors.data_connector"
    monkeypatch.setattr(f"{connector}.suggested_max_num_workers", lambda _: 8)
    warnings.filterwarnings("error", message=".* does not have many workers")
    data, trainer = Numbered(), Trainer(enable_checkpointing=False, **QUIET)
    for loader in (data, data.in_order("test")):  # of a prediction Lightning makes another
        batches = trainer.predict(Labelling(), loader)
        assert torch.cat(batches).tolist() == labels_of(data.in_order("test"))


def test_loaders_set_up_what_they_need():
    assert len(Numbered().train_dataloader()) == 10
    assert len(Numbered().val_dataloader()) == 3
    assert len(Numbered().in_order("test")) == 4
    assert Numbered().mean_image().mean().item() == pytest.approx(0.5, abs=0.02)


class Sorted(MiniFashionMNIST):
    def load(self, split):
        source = super().load(split)
        return source.subset(source.labels.argsort(stable=True))


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_first_images_of_a_sorted_dataset_show_all_classes(split):
    first = next(iter(Sorted().in_order(split, 100)))
    counts = first.labels.bincount(minlength=10)
    assert counts.min() > 0
    assert counts.max() < 25


def test_a_dataset_smaller_than_a_batch_is_told_by_its_own_size():
    parts = {"datamodule": SimpleNamespace(batch_size=512), "world_size": 2}
    loader = {"train_dataloader": SimpleNamespace(num_images=7)}
    length = {
        "accumulate_grad_batches": 1,
        "estimated_stepping_batches": 80,
        "num_training_batches": 4,
    }
    said = batch_in_words(SimpleNamespace(**parts, **loader, **length, optimizers=[]))
    assert said.startswith("3 x 2 processes = 6 images a step")
    assert "80 steps in all; a model takes some thousands: --trainer.max_epochs 500" in said
