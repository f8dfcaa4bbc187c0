import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset
from torchvision.datasets import FakeData
from torchvision.transforms import ToTensor

import lightning_gen as lg
from lightning_gen.data import wrap
from lightning_gen.data.wrap import pixels_of
from lightning_gen.errors import UserError
from support.refusals import assert_refused

SHORT = {
    **{"accelerator": "cpu", "devices": 1, "max_epochs": 1, "default_pictures": False},
    **{"limit_train_batches": 2, "limit_val_batches": 1, "enable_progress_bar": False},
}


def photos(n=20, size=(9, 11)):
    return torch.randint(0, 256, (n, 3, *size), dtype=torch.uint8)


class Dictionaries(Dataset):
    """The form of Hugging Face's datasets, which also fetch several items at once."""

    class Label:
        names = ("cat", "dog")

    features = {"image": object(), "label": Label}  # noqa: RUF012

    def __init__(self, images):
        self.images = images
        self.asked = []

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = Image.fromarray(self.images[index].permute(1, 2, 0).numpy())
        return {"image": image, "label": index % 2}

    def __getitems__(self, positions):
        self.asked.append(len(positions))
        return [self[position] for position in positions]


FORMS = {
    "tensors": lambda images: list(images),
    "pairs": lambda images: [(image, n % 2) for n, image in enumerate(images)],
    "floats": lambda images: [(image / 255, torch.tensor(n % 2)) for n, image in enumerate(images)],
    "arrays": lambda images: [
        (image.permute(1, 2, 0).numpy(), n % 2) for n, image in enumerate(images)
    ],
    "dictionaries": Dictionaries,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lazy", [False, True])
def test_every_form_gives_the_same_batches(form, lazy, monkeypatch):
    if lazy:
        monkeypatch.setattr(wrap, "IN_MEMORY_BYTES", 0)
    images = photos()
    names = None if form in ("tensors", "dictionaries") else ("cat", "dog")
    data = lg.data.Wrap(
        FORMS[form](images), class_names=names, test_fraction=0.2, num_workers=0, batch_size=7
    )
    assert data.image_shape == (3, 9, 11)
    assert data.info.class_names == (("image",) if form == "tensors" else ("cat", "dog"))
    seen = [data.in_order(split) for split in ("train", "val", "test")]
    batches = [batch for loader in seen for batch in loader]
    found, labels = (torch.cat([b[k] for b in batches]) for k in (0, 1))
    assert [sum(len(b.labels) for b in loader) for loader in seen] == [14, 2, 4]
    order = [int((images == image).flatten(1).all(dim=1).nonzero()) for image in found]
    assert sorted(order) == list(range(20)), "each image in one split, once"
    assert labels.tolist() == [0 if form == "tensors" else n % 2 for n in order]
    shown = data.batch("val", 2)
    assert shown.images.dtype == torch.float32
    assert 0 <= shown.images.min() <= shown.images.max() <= 1


def test_batches_are_fetched_at_once_where_the_dataset_can():
    dataset = Dictionaries(photos())
    assert len(lg.data.Wrap(dataset).in_order("train")) == 1
    assert dataset.asked == [20]


def test_splits_of_their_own():
    train, val, test = ([(image, 0) for image in photos(n)] for n in (10, 4, 6))
    data = lg.data.Wrap(train, test, val, class_names=("a", "b"), batch_size=100)
    sizes = {s: len(next(iter(data.in_order(s))).labels) for s in ("train", "val", "test")}
    assert sizes == {"train": 10, "val": 4, "test": 6}


def test_torchvision_and_resizing():
    fake = FakeData(12, (3, 20, 30), num_classes=4, transform=ToTensor())
    data = lg.data.Wrap(fake, image_size=(16, 12), class_names=tuple("abcd"))
    batch = data.batch("train", 5)
    assert batch.images.shape == (5, 3, 16, 12)
    assert set(batch.labels.tolist()) <= {0, 1, 2, 3}


def test_it_is_trained_on_and_the_model_is_loaded_later(in_tmp, command, caplog):
    data = lg.data.Wrap([(image, 0) for image in photos()], class_names=("a",), image_size=8)
    run = lg.fit(
        lg.models.VAE(data.image_shape, 2, lg.networks.Dense((8,))), data, name="own", **SHORT
    )
    assert "Wrap does not keep its train, test, val: verbs on the run take images" in caplog.text
    assert run.test["loss"] > 0
    command("sample", "own").done()
    command("report", "own").done()
    command("reconstruct", "own").refused("Pass images of your own with --images")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: lg.data.Wrap(iter([])), "a dataset with a length.*got list_iterator"),
        (lambda: lg.data.Wrap([photos(1)[0]]), "a dataset with a length"),
        (lambda: lg.data.Wrap({"train": [*photos()]}), "train is a dataset.*got dict"),
        (lambda: lg.data.Wrap([*photos()], test=[]), "test is a dataset.*got list"),
        (lambda: lg.data.Wrap([*photos()], val=5), "val is a dataset.*got int"),
        (lambda: lg.data.Wrap([Image.new("I;16", (9, 9))] * 3), "cannot be used.*Convert it to 8"),
        (lambda: lg.data.Wrap([(photos(1)[0], 0)] * 9, class_names=("x", "x")), "no two the same"),
        (lambda: lg.data.Wrap([*photos()], image_size=0), "at least 8"),
        (lambda: lg.data.Wrap([*photos()]).batch("val", 0), "at least one image, got 0"),
        (lambda: lg.data.Wrap([{"pic": 1}, {"pic": 2}]), "one of image, img.*got pic"),
        (lambda: lg.data.Wrap(["a", "b"]), r"got str <U1 \[\]"),
        (lambda: lg.data.Wrap([*torch.randn(4, 3, 9, 9)]), r"lie in \[0, 1\], got -"),
        (lambda: lg.data.Wrap([*photos().int()]), "a uint8 array or floats.*got Tensor int32"),
        (lambda: lg.data.Wrap([(i, 0) for i in photos()]), "have labels.*Pass class_names"),
        (lambda: lg.data.Wrap([*photos(4, (4, 4))]), "at least 8"),
    ],
)
def test_what_is_no_dataset_of_images_is_one_line(make, said):
    assert_refused(said, make)


@pytest.mark.parametrize("label", [2, -1, 0.5, "cat", None])
def test_a_label_that_is_no_class(label):
    data = lg.data.Wrap([(i, n and label) for n, i in enumerate(photos())], class_names=("a", "b"))
    assert_refused("a number from 0 to 1, got", data.setup, "fit")


@pytest.mark.parametrize("binarize", ["static", "dynamic"])
def test_images_that_are_not_held_in_memory_are_not_binarised(binarize, monkeypatch):
    monkeypatch.setattr(wrap, "IN_MEMORY_BYTES", 0)
    data = lg.data.Wrap([*photos()], binarize=binarize)
    assert_refused("binarize is nothing for images that are not held", data.setup, "fit")


def test_a_run_goes_on_with_the_same_images_alone(in_tmp):
    first = [(image, 0) for image in photos(20, (8, 8))]
    arrays = np.random.default_rng(0).random((20, 8, 8, 3), dtype=np.float32)
    model = lg.models.VAE((3, 8, 8), 2, lg.networks.Dense((8,)))
    lg.fit(model, lg.data.Wrap([image for image, _ in first]), name="own", **SHORT)
    with pytest.raises(UserError, match="trained on other data: digest of the images"):
        lg.fit(model, lg.data.Wrap(arrays), name="own", resume=True, **SHORT)


def test_images_of_several_sizes_want_a_size():
    mixed = [*photos(5), *photos(5, (12, 12))]
    assert_refused(r"\[3, 9, 11\] as the first.*\[3, 12, 12\]", lg.data.Wrap(mixed).setup, "fit")
    assert lg.data.Wrap(mixed, image_size=8).batch("train").images.shape[1:] == (3, 8, 8)


def test_palettes_transparency_and_rotation_are_as_in_a_folder():
    image = Image.new("RGBA", (10, 8), (255, 0, 0, 0))
    assert (pixels_of(image) == 255).all(), "what is transparent lies on white"
    assert pixels_of(Image.new("1", (10, 8))).shape == (1, 8, 10)
    turned = Image.new("L", (10, 8))
    turned.getexif()[0x0112] = 6
    assert pixels_of(turned).shape == (1, 10, 8)
