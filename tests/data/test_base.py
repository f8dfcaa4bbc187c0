import pytest
import torch

from lightning_gen.contracts import Batch
from lightning_gen.data import CIFAR10, MNIST, DSprites, FashionMNIST, MiniFashionMNIST, Shapes
from lightning_gen.data.base import ImageDataModule, cut
from lightning_gen.data.loader import TensorSource
from support.ordered import Numbered, fit, labels_of
from support.refusals import assert_refused


class WithValidation(Numbered):
    def load_val(self):
        self.loaded.append("val")
        return self.source(10, 500)


def images_of(seen, stage):
    """The images of each epoch, sorted by label."""
    images, labels, _ = (torch.cat(parts) for parts in zip(*seen.batches[stage], strict=True))
    order = labels.argsort(stable=True)
    epochs = len(labels) // len(labels.unique())
    return images[order].view(-1, epochs, *images.shape[1:]).transpose(0, 1)


def splits(data):
    data.setup("fit")
    return labels_of(data.train_dataloader()), labels_of(data.val_dataloader())


class TestSplits:
    def test_validation_is_a_random_cut_and_the_same_for_every_seed(self):
        train, val = splits(Numbered())
        assert (len(train), len(val)) == (80, 20)
        assert sorted(train + val) == [*range(100)]
        torch.manual_seed(99)
        other_train, other_val = splits(Numbered())
        assert val == other_val
        assert val not in ([*range(20)], [*range(80, 100)])
        assert train != other_train
        assert sorted(train) == sorted(other_train)

    def test_fit_never_loads_the_test_split(self):
        data = Numbered()
        seen = fit(data)
        assert data.loaded == ["train"]
        assert seen.batches["test"] == []
        seen.trainer.test(seen, data, verbose=False)
        assert data.loaded == ["train", "test"]
        for tested in (seen.batches["test"], data.predict_dataloader()):
            assert sorted(labels_of(tested)) == [*range(1000, 1030)]

    def test_the_datasets_own_validation_split(self):
        train, val = splits(WithValidation())
        assert sorted(train) == [*range(100)]
        assert sorted(val) == [*range(500, 510)] != val
        in_order = labels_of(WithValidation().in_order("train"))
        assert sorted(in_order) == [*range(100)] != in_order

    def test_no_validation(self):
        data = Numbered(val_fraction=0.0)
        data.setup("fit")
        assert sorted(labels_of(data.train_dataloader())) == [*range(100)]
        assert data.val_dataloader() == []
        seen = fit(data, max_epochs=1)
        assert seen.batches["val"] == []

    @pytest.mark.parametrize("val_fraction", [0.01, 0.99])
    def test_val_fraction_leaves_nothing(self, val_fraction):
        data = Numbered(count=10, val_fraction=val_fraction)
        assert_refused(rf"data\.val_fraction {val_fraction} .* of 10 images", data.setup, "fit")

    def test_groups_stay_together(self):
        groups = torch.arange(100) // 3
        kept, held_out = cut(groups, 0.25, "data.val_fraction")
        assert sorted([*kept, *held_out]) == [*range(100)] != [*kept, *held_out]
        assert not {*groups[kept].tolist()} & {*groups[held_out].tolist()}
        assert len(groups[held_out].unique()) == round(34 * 0.25)


class TestClasses:
    @pytest.mark.parametrize("binarize", [None, "static", "dynamic"])
    def test_training_and_validation_see_the_named_classes_alone(self, binarize):
        data = MiniFashionMNIST(train_classes=("Bag", "Trouser"), binarize=binarize)
        assert data.info.normal_classes == (8, 1)
        labels = {s: torch.tensor(labels_of(data.in_order(s))) for s in ("train", "val", "test")}
        counts = [labels[split].bincount(minlength=10) for split in ("train", "val")]
        assert [n.item() for n in sum(counts)] == [0, 1000, 0, 0, 0, 0, 0, 0, 1000, 0]
        assert (counts[1][[1, 8]] > 0).all()
        assert labels["test"].unique().tolist() == list(range(10))

    def test_a_class_that_is_none_is_refused(self):
        match = r"among T-shirt/top, Trouser, .*, got 'Boots'"
        assert_refused(match, MiniFashionMNIST, train_classes=("Bag", "Boots"))


class TestBinarize:
    @pytest.mark.parametrize("binarize", ["static", "dynamic"])
    def test_pixels_are_zero_or_one_with_the_grey_level_as_probability(self, binarize):
        seen = fit(Numbered(binarize=binarize), max_epochs=40)
        seen.trainer.test(seen, Numbered(binarize=binarize), verbose=False)
        grey = Numbered().load("train").images / 255
        for stage in ("train", "val", "test"):
            images = torch.cat([batch.images for batch in seen.batches[stage]])
            assert set(images.unique().tolist()) == {0.0, 1.0}
            assert images.mean().item() == pytest.approx(grey.mean().item(), abs=0.05)
        if binarize == "dynamic":
            labels = torch.cat([batch.labels for batch in seen.batches["train"]]).unique()
            frequency = images_of(seen, "train").mean(dim=0)
            # 40 draws: a standard error of at most 0.08.
            assert (frequency - grey[labels]).abs().max() < 0.45
            assert (frequency - grey[labels]).square().mean() < 2 * 0.25 / 40

    def test_static_draws_once(self):
        seen = fit(Numbered(binarize="static"), max_epochs=2)
        torch.manual_seed(99)
        other = fit(Numbered(binarize="static"), max_epochs=2)
        for stage in ("train", "val"):
            first, second = images_of(seen, stage)
            assert torch.equal(first, second)
            assert torch.equal(images_of(seen, stage), images_of(other, stage))

    def test_images_are_mirrored_half_of_the_time_in_training_alone(self):
        seen = fit(Numbered(mirror=True), max_epochs=10)
        assert torch.equal(*images_of(fit(Numbered(mirror=True), max_epochs=2), "val"))
        epochs = images_of(seen, "train")
        own = Numbered().load("train").images / 255
        labels = torch.cat([batch.labels for batch in seen.batches["train"]]).unique()
        turned = (epochs != own[labels]).flatten(2).any(dim=2)
        expected = torch.where(turned[:, :, None, None, None], own[labels].flip(3), own[labels])
        torch.testing.assert_close(epochs, expected)
        assert 0.4 < turned.float().mean() < 0.6

    @pytest.mark.parametrize("kind", [MNIST, Shapes, DSprites])
    def test_no_mirror_where_it_would_change_the_labels(self, kind):
        match = f"data.mirror is off for {kind.__name__}, got True.*another label, or factors"
        assert_refused(match, kind, mirror=True)

    def test_dynamic_draws_at_every_step_of_training_only(self):
        seen = fit(Numbered(binarize="dynamic"), max_epochs=2)
        for _ in range(2):
            seen.trainer.test(seen, Numbered(binarize="dynamic"), verbose=False)
        same = {stage: torch.equal(*images_of(seen, stage)) for stage in ("train", "val", "test")}
        assert same == {"train": False, "val": True, "test": True}

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
        seen = fit(Numbered(), max_epochs=1)
        expected = Numbered().load("train").images / 255
        for stage in ("train", "val"):
            for images, labels, factors in seen.batches[stage]:
                assert torch.equal(images, expected[labels])
                assert factors.shape == (len(labels), 0)


def test_bad_arguments():
    wrong = {"batch_size": (0, -1), "val_fraction": (1.0, -0.1, float("nan"))}
    for argument, values in wrong.items():
        for value in values:
            assert_refused(rf"data\.{argument} .* got {value}", Numbered, **{argument: value})


def test_a_dataset_says_what_it_holds():
    class Silent(ImageDataModule):
        load = Numbered.load

    assert_refused(r"data\.info is what is known of the images.*Set it to DataInfo", Silent)


@pytest.mark.parametrize(
    ("kind", "argument"),
    [
        (CIFAR10, "binarize"),
        *((Shapes, name) for name in ("binarize", "train_classes")),
        *((DSprites, name) for name in ("binarize", "train_classes", "num_workers")),
    ],
)
def test_arguments_without_a_meaning_are_refused_and_not_kept(kind, argument):
    assert {"batch_size", "val_fraction", "images_on"} <= kind().hparams.keys() - {argument}
    assert argument not in kind().hparams
    with pytest.raises(TypeError, match=argument):
        kind(**{argument: None})


class TestMiniFashionMNIST:
    def test_it_needs_neither_folder_nor_network(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        data = MiniFashionMNIST(batch_size=500)
        about = "MiniFashionMNIST(1x28x28 pixels, 10 classes, batches of 500"
        assert str(data) == f"{about}; nothing loaded yet)"
        loaders = [data.in_order(split) for split in ("train", "val", "test")]
        counts = [sum(len(batch.labels) for batch in loader) for loader in loaders]
        assert counts == [9_000, 1_000, 2_000]
        assert str(data) == f"{about}; 9,000 train, 1,000 val, 2,000 test)"
        assert not any(tmp_path.iterdir())

    def test_it_is_the_first_of_each_class_of_the_whole(self, shared_data):
        whole, mini = FashionMNIST(root=str(shared_data), download=False), MiniFashionMNIST()
        for split, count in (("train", 1000), ("test", 200)):
            source, mine = whole.load(split), mini.load(split)
            chosen = [torch.nonzero(source.labels == label)[:count, 0] for label in range(10)]
            expected = source.subset(torch.cat(chosen).sort().values)
            assert torch.equal(mine.images, expected.images)
            assert torch.equal(mine.labels, expected.labels)
