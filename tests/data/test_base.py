"""What every datamodule does with its sources: splits, binarisation, conversion."""

from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

from lightning_gen.contracts import Batch
from lightning_gen.data.base import ImageDataModule
from lightning_gen.data.sources import TensorSource
from lightning_gen.errors import UserError

COUNT, TEST_COUNT = 100, 30


class Numbered(ImageDataModule):
    """Random grey images whose label is their position; test labels start at 1000."""

    def __init__(self, batch_size=16, val_fraction=0.2, binarize=None, count=COUNT):
        super().__init__(batch_size, val_fraction, binarize=binarize)
        self.image_shape = (2, 8, 9)
        self.count = count
        self.loaded = []

    def load_train(self):
        self.loaded.append("train")
        return self.source(self.count, 0)

    def load_test(self):
        self.loaded.append("test")
        return self.source(TEST_COUNT, 1000)

    def source(self, count, first_label):
        generator = torch.Generator().manual_seed(7)
        images = torch.randint(0, 256, (count, 2, 8, 9), generator=generator, dtype=torch.uint8)
        return TensorSource.of(images, first_label + torch.arange(count))


class WithValidation(Numbered):
    def load_val(self):
        self.loaded.append("val")
        return self.source(10, 500)


class Recorder(LightningModule):
    """Keeps the batches of each stage, as a model sees them."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = {"train": [], "val": [], "test": []}

    def training_step(self, batch, batch_idx):
        self.seen["train"].append(batch)
        return self.weight.square()

    def validation_step(self, batch, batch_idx):
        self.seen["val"].append(batch)

    def test_step(self, batch, batch_idx):
        self.seen["test"].append(batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)

    def images(self, stage):
        """Of each epoch, sorted by label."""
        batches = self.seen[stage]
        images, labels = (torch.cat(parts) for parts in [*zip(*batches, strict=True)][:2])
        order = labels.argsort(stable=True)
        epochs = len(labels) // len(labels.unique())
        return images[order].view(-1, epochs, *images.shape[1:]).transpose(0, 1)


def fit(data, epochs=2):
    recorder = Recorder()
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(recorder, data)
    return recorder, trainer


def labels_of(loader):
    return torch.cat([batch.labels for batch in loader]).tolist()


def splits(data):
    data.setup("fit")
    return labels_of(data.train_dataloader()), labels_of(data.val_dataloader())


class TestSplits:
    def test_they_share_no_image(self):
        train, val = splits(Numbered())
        assert len(train) == 80
        assert len(val) == 20
        assert sorted(train + val) == [*range(COUNT)]

    def test_validation_is_a_random_cut_and_the_same_for_every_seed(self):
        train, val = splits(Numbered())
        torch.manual_seed(99)
        other_train, other_val = splits(Numbered())
        assert val == other_val
        assert val not in ([*range(20)], [*range(80, 100)])
        assert train != other_train
        assert sorted(train) == sorted(other_train)

    def test_fit_never_loads_the_test_split(self):
        data = Numbered()
        recorder, trainer = fit(data)
        assert data.loaded == ["train"]
        assert recorder.seen["test"] == []
        trainer.test(recorder, data, verbose=False)
        assert data.loaded == ["train", "test"]
        seen = torch.cat([batch.labels for batch in recorder.seen["test"]]).tolist()
        assert sorted(seen) == [*range(1000, 1000 + TEST_COUNT)]

    def test_predict_takes_the_test_split(self):
        data = Numbered()
        data.setup("predict")
        assert sorted(labels_of(data.predict_dataloader())) == [*range(1000, 1000 + TEST_COUNT)]

    def test_the_datasets_own_validation_split(self):
        train, val = splits(WithValidation())
        assert sorted(train) == [*range(COUNT)]
        assert sorted(val) == [*range(500, 510)] != val
        in_order = labels_of(WithValidation().in_order("train"))
        assert sorted(in_order) == [*range(COUNT)] != in_order

    def test_no_validation(self):
        data = Numbered(val_fraction=0.0)
        data.setup("fit")
        assert sorted(labels_of(data.train_dataloader())) == [*range(COUNT)]
        assert data.val_dataloader() == []
        recorder, _ = fit(data, epochs=1)
        assert recorder.seen["val"] == []

    @pytest.mark.parametrize(
        ("count", "val_fraction", "num_val"),
        [(2, 0.5, 1), (10, 0.25, 2), (3, 0.2, 1), (10, 0.9, 9)],
    )
    def test_val_fraction_is_rounded(self, count, val_fraction, num_val):
        train, val = splits(Numbered(count=count, val_fraction=val_fraction))
        assert len(val) == num_val
        assert len(train) == count - num_val

    @pytest.mark.parametrize("val_fraction", [0.01, 0.99])
    def test_val_fraction_leaves_nothing(self, val_fraction):
        with pytest.raises(UserError, match=rf"data\.val_fraction {val_fraction} .* of 10 images"):
            Numbered(count=10, val_fraction=val_fraction).setup("fit")

    def test_setup_twice_loads_once(self):
        data = Numbered()
        data.setup("validate")
        data.setup("fit")
        assert data.loaded == ["train"]


class TestBinarize:
    @pytest.mark.parametrize("binarize", ["static", "dynamic"])
    def test_pixels_are_zero_or_one_with_the_grey_level_as_probability(self, binarize):
        recorder, trainer = fit(Numbered(binarize=binarize), epochs=40)
        trainer.test(recorder, Numbered(binarize=binarize), verbose=False)
        grey = Numbered().load_train().images / 255
        for stage in ("train", "val", "test"):
            images = torch.cat([batch.images for batch in recorder.seen[stage]])
            assert set(images.unique().tolist()) == {0.0, 1.0}
            assert images.mean().item() == pytest.approx(grey.mean().item(), abs=0.05)
        if binarize == "dynamic":
            labels = torch.cat([batch.labels for batch in recorder.seen["train"]]).unique()
            frequency = recorder.images("train").mean(dim=0)
            # 40 draws: a standard error of at most 0.08.
            assert (frequency - grey[labels]).abs().max() < 0.45
            assert (frequency - grey[labels]).square().mean() < 2 * 0.25 / 40

    def test_static_draws_once(self):
        recorder, _ = fit(Numbered(binarize="static"))
        torch.manual_seed(99)
        other, _ = fit(Numbered(binarize="static"))
        for stage in ("train", "val"):
            first, second = recorder.images(stage)
            assert torch.equal(first, second)
            assert torch.equal(recorder.images(stage), other.images(stage))

    def test_dynamic_draws_at_every_step_of_training_only(self):
        recorder, trainer = fit(Numbered(binarize="dynamic"))
        first, second = recorder.images("train")
        assert not torch.equal(first, second)
        first, second = recorder.images("val")
        assert torch.equal(first, second)
        for _ in range(2):
            trainer.test(recorder, Numbered(binarize="dynamic"), verbose=False)
        first, second = recorder.images("test")
        assert torch.equal(first, second)

    def test_both_evaluate_on_binary_images(self):
        for binarize in ("static", "dynamic"):
            data = Numbered(binarize=binarize)
            data.setup("test")
            [*batches] = data.test_dataloader()
            assert {*torch.cat([b.images for b in batches]).unique().tolist()} == {0, 255}

    def test_black_stays_black_and_white_stays_white(self):
        images = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 1, 60, 60)
        assert torch.equal(TensorSource.of(images).binarized().images, images)


class TestConversion:
    def test_every_grey_level_is_exact(self):
        images = torch.arange(256, dtype=torch.uint8).view(4, 1, 8, 8)
        batch = Batch(images, torch.zeros(4, dtype=torch.int64), torch.empty(4, 0))
        converted = Numbered().on_after_batch_transfer(batch, 0)
        assert converted.images.dtype == torch.float32
        exact = [level / 255 for level in range(256)]
        assert converted.images.flatten().tolist() == torch.tensor(exact).tolist()
        assert converted.labels is batch.labels
        assert torch.equal(images.flatten(), torch.arange(256, dtype=torch.uint8))

    def test_models_are_given_floats(self):
        recorder, _ = fit(Numbered(), epochs=1)
        expected = Numbered().load_train().images / 255
        for stage in ("train", "val"):
            for images, labels, factors in recorder.seen[stage]:
                assert torch.equal(images, expected[labels])
                assert factors.shape == (len(labels), 0)


def test_an_epoch_of_a_rank_is_a_shard():
    data = Numbered(batch_size=8)
    data.setup("fit")
    shards = []
    for rank in range(2):
        strategy = SimpleNamespace(root_device=torch.device("cpu"), broadcast=lambda seed: seed)
        data.trainer = SimpleNamespace(global_rank=rank, world_size=2, strategy=strategy)
        shards.append(labels_of(data.train_dataloader()))
    assert len(shards[0]) == len(shards[1]) == 40
    assert not {*shards[0]} & {*shards[1]}


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("batch_size", 0),
        ("batch_size", -1),
        ("val_fraction", 1.0),
        ("val_fraction", -0.1),
        ("val_fraction", float("nan")),
    ],
)
def test_bad_arguments(argument, value):
    with pytest.raises(UserError, match=rf"data\.{argument} .* got {value}"):
        Numbered(**{argument: value})


def test_subset_is_a_copy():
    source = Numbered().load_train()
    subset = source.subset(torch.tensor([5, 2]))
    assert subset.labels.tolist() == [5, 2]
    subset.images.zero_()
    assert source.images[5].any()
