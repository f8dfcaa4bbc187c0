import os
from warnings import catch_warnings

import pytest
import torch
from PIL import Image

from support.images import batches_of, everything
from support.images import image_folder as build
from support.refusals import assert_refused

RED, BLUE = (255, 0, 0), (0, 0, 255)


def paint(root, *names, colour=RED, size=(8, 8)):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        mode = "L" if isinstance(colour, int) else "RGB"
        Image.new(mode, size, colour).save(root / name)


def numbered(root, folder="", count=10, first=0):
    for number in range(first, first + count):
        paint(root, f"{folder}/{number:03}.png".lstrip("/"), colour=number)


def numbers(source):
    return everything(source).images[:, 0, 0, 0].tolist()


def test_a_flat_folder_has_one_class(tmp_path):
    numbered(tmp_path, count=20)
    data = build(tmp_path)
    assert data.info.class_names == ("image",)
    assert data.image_shape == (1, 8, 8)
    assert len(data.load("train")) == 18
    assert data.load_val() is None
    test = numbers(data.load("test"))
    assert sorted(numbers(data.load("train")) + test) == list(range(20))
    torch.manual_seed(5)
    assert numbers(build(tmp_path).load("test")) == test != list(range(2))


def test_class_folders_give_labels(tmp_path):
    paint(tmp_path, *(f"red/{n}.png" for n in range(10)), colour=RED)
    paint(tmp_path, *(f"blue/deep/{n}.png" for n in range(10)), colour=BLUE)
    data = build(tmp_path, test_fraction=0.5)
    assert data.info.class_names == ("blue", "red")
    assert data.image_shape == (3, 8, 8)
    for source in (data.load("train"), data.load("test")):
        batch = everything(source)
        assert batch.images[:, 0, 0, 0].eq(255).equal(batch.labels == 1)
        assert batch.images[:, 2, 0, 0].eq(255).equal(batch.labels == 0)


@pytest.mark.parametrize(
    ("folders", "stray", "classes"),
    [
        (["a"], None, ("image",)),
        (["a", "b"], "top.png", ("image",)),
        (["train", "other"], None, ("other", "train")),  # no splits without another one
    ],
)
def test_what_is_a_class(tmp_path, folders, stray, classes):
    for folder in folders:
        numbered(tmp_path, folder)
    if stray:
        paint(tmp_path, stray)
    assert build(tmp_path).info.class_names == classes


@pytest.mark.parametrize("val", ["val", "valid", "Validation"])
def test_given_splits_are_kept(tmp_path, val):
    for first, folder in enumerate(["train", val, "test"]):
        numbered(tmp_path, f"{folder}/cat", 3, 10 * first)
        numbered(tmp_path, f"{folder}/dog", 2, 10 * first + 5)
    data = build(tmp_path)
    assert data.info.class_names == ("cat", "dog")
    loaded = [data.load("train"), data.load_val(), data.load("test")]
    assert [numbers(source) for source in loaded] == [
        [first + n for n in (0, 1, 2, 5, 6)] for first in (0, 10, 20)
    ]
    assert loaded[1].labels.tolist() == [0, 0, 0, 1, 1]


@pytest.mark.parametrize("given", ["val", "test"])
def test_a_split_that_is_not_given_is_cut_from_the_training_images(tmp_path, caplog, given):
    numbered(tmp_path, "train", 20)
    numbered(tmp_path, given, 3, 50)
    numbered(tmp_path, "more", 2)
    data = build(tmp_path)
    assert "25 images (2 in no split)" in caplog.text
    kept = data.load_val() if given == "val" else data.load("test")
    assert numbers(kept) == [50, 51, 52]
    found = torch.cat([batch.images[:, 0, 0, 0] for batch in batches_of(data, epochs=1)])
    assert sorted(found.tolist()) == [*range(20), 50, 51, 52]
    assert data.train_dataloader().num_images == 18


def test_says_in_one_line_what_it_inferred(tmp_path, caplog, monkeypatch):
    for name in "abc":
        numbered(tmp_path, name, 10)
    data = build(tmp_path, image_size=(8, 16))
    monkeypatch.setattr("lightning_gen.data.image_folder.IN_MEMORY_BYTES", 0)
    build(tmp_path)
    assert data.hparams["image_size"] == [8, 16]
    first, second = (record.getMessage() for record in caplog.records)
    assert first == (
        f"{str(tmp_path)!r}: 30 images, number of classes: 3, channels: 1; 24 to train, 3 to "
        "validate, 3 to test; 8x16 pixels (height x width); held in memory."
    )
    assert "decoded by workers" in second


def test_odd_names(tmp_path):
    names = ["a b.png", "it's.PNG", 'say "x".JPeG', "new\nline.png", "naïve-日本.webp", "-rf.bmp"]
    for folder in ("one two", "it's", "日\n本"):
        paint(tmp_path, *(f"{folder}/{name}" for name in names))
    os.rename(tmp_path / "it's" / "a b.png", os.fsencode(tmp_path / "it's") + b"/\xff.png")
    (tmp_path / os.fsdecode(b"\xfe.jpg")).write_text("broken")
    with pytest.warns(UserWarning, match=r"1 of 19 images cannot be read: '\\udcfe\.jpg'"):
        data = build(tmp_path)
    assert data.info.class_names == ("it's", "one two", "日\n本")
    assert len(data.load("train")) + len(data.load("test")) == 18


def test_hidden_and_other_files_are_skipped(tmp_path):
    numbered(tmp_path)
    paint(tmp_path, ".hidden/a.png", ".thumb.png", "__MACOSX/b.png", "c/__MACOSX/._d.png")
    paint(tmp_path, "logs/vae/version_0/images/samples/00000002.png")  # of a run in the folder
    for name in ("config.yaml", "environment.json"):
        (tmp_path / "logs/vae/version_0" / name).touch()
    (tmp_path / "notes.txt").write_text("no image")
    data = build(tmp_path)
    assert len(data.load("train")) + len(data.load("test")) == 10


@pytest.mark.parametrize("kind", ["text", "empty", "link", "pipe"])
def test_unreadable_files_are_counted_named_and_skipped(tmp_path, kind):
    numbered(tmp_path)
    for number in range(5):
        path = tmp_path / f"bad{number}.jpg"
        if kind == "link":
            path.symlink_to(tmp_path / "nowhere")
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            path.write_text("no image" if kind == "text" else "")
    expected = r"5 of 15 images cannot be read: 'bad0\.jpg' .*'bad2\.jpg' .* and 2 more"
    with pytest.warns(UserWarning, match=expected):
        data = build(tmp_path)
    assert len(data.load("train")) == 9


def test_channels(tmp_path):
    numbered(tmp_path)
    assert build(tmp_path, channels=3).image_shape == (3, 8, 8)
    paint(tmp_path, "colour.png")
    assert build(tmp_path).image_shape == (3, 8, 8)
    data = build(tmp_path, channels=1)
    assert everything(data.load("train")).images.shape == (10, 1, 8, 8)


def test_what_is_no_folder_of_images(tmp_path):
    assert_refused("does not exist, expected a folder", build, tmp_path / "none")
    (tmp_path / "images.zip").write_bytes(b"")
    assert_refused("is a file.*unpack archives first", build, tmp_path / "images.zip")
    assert_refused("expected images in .*, found none", build, tmp_path)
    (tmp_path / "broken.jpg").write_text("no image")
    match = r"expected images in .*1 of 1 images cannot be read: 'broken\.jpg'"
    assert_refused(match, build, tmp_path)


def test_too_few_images(tmp_path):
    numbered(tmp_path, count=3)
    assert_refused(r"data\.test_fraction 0\.1 holds out 0 of 3 images", build, tmp_path)
    assert_refused(r"data\.val_fraction 0\.1 holds out 0 of 2", build, tmp_path, test_fraction=0.3)


def test_arguments_out_of_range(tmp_path):
    numbered(tmp_path)
    wrong = {"image_size": (64, 0), "channels": 2, "test_fraction": 1.0, "num_workers": -1}
    for argument, value in wrong.items():
        assert_refused(rf"data\.{argument} .* got", build, tmp_path, **{argument: value})


def splits_with_classes(tmp_path, test="test/{}"):
    for first, name in enumerate(("cat", "dog")):
        numbered(tmp_path, f"train/{name}", 10, 20 * first)
        numbered(tmp_path, test.format(name), 3, 100 + 10 * first)


@pytest.mark.parametrize("folder", ["test", "test/images", "test/{}"])
def test_test_images_in_no_folder_of_a_class_have_none(tmp_path, folder):
    splits_with_classes(tmp_path, folder)
    known = folder.endswith("{}")
    if known:
        numbered(tmp_path, "test/bird", 2, 150)
    first = "test/bird/150" if known else f"{folder}/100"
    match = rf"{2 if known else 6} images lie in no folder of a class of train, .* '{first}"
    with pytest.warns(UserWarning, match=match):
        data = build(tmp_path)
    assert data.info.class_names == ("cat", "dog")
    expected = [-1, -1, 0, 0, 0, 1, 1, 1] if known else [-1] * 6
    assert data.load("test").labels.tolist() == expected
    assert sorted(data.load("train").labels.tolist()) == [0] * 10 + [1] * 10


@pytest.mark.parametrize("val", [None, "val"])
def test_training_on_some_classes(tmp_path, caplog, val):
    splits_with_classes(tmp_path)
    if val:
        numbered(tmp_path, "val/cat", 2, 60)
        numbered(tmp_path, "val/dog", 2, 70)
    data = build(tmp_path, train_classes=("dog",))
    assert f"{10 if val else 9} to train, {2 if val else 1} to validate, 6 to test" in caplog.text
    assert data.info.normal_classes == (1,)
    for split, labels in (("train", {1}), ("val", {1}), ("test", {0, 1})):
        found = torch.cat([batch.labels for batch in data.in_order(split)])
        assert {*found.tolist()} == labels
    assert_refused("among cat, dog, got 'cow'", build, tmp_path, train_classes=("cow",))


@pytest.mark.parametrize("memory", [0, 2**30])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_rows_know_their_files(tmp_path, monkeypatch, memory, num_workers):
    monkeypatch.setattr("lightning_gen.data.image_folder.IN_MEMORY_BYTES", memory)
    numbered(tmp_path, "a", 20)
    numbered(tmp_path, "b", 20, 20)
    Image.effect_noise((64, 64), 99).save(tmp_path / "b/025.jpg")
    (tmp_path / "b/025.jpg").write_bytes((tmp_path / "b/025.jpg").read_bytes()[:1500])
    data = build(tmp_path, num_workers=num_workers)
    with catch_warnings(action="ignore"):  # which a worker gives in its own process
        found = [
            pair
            for split in ("train", "val", "test")
            for batch, names in data.in_order(split).named()
            for pair in zip(names, batch.images[:, 0, 0, 0].tolist(), strict=True)
        ]
    assert len(found) == 40
    assert all(name == f"{'ab'[number >= 20]}/{number:03}.png" for name, number in found)
