import pytest
import torch

from lightning_gen.data import CelebA, DataInfo
from support import datasets
from support.images import everything
from support.refusals import assert_refused

LAYOUTS = {  # where the images, the tables and the root are
    "torchvision": ("celeba/img_align_celeba", "celeba", ""),
    "torchvision, packed": ("celeba/img_align_celeba.zip", "celeba", ""),
    "packed": ("img_align_celeba.zip", "", ""),
    "the archive itself": ("img_align_celeba.zip", "", "img_align_celeba.zip"),
    "Kaggle": ("img_align_celeba/img_align_celeba", "", ""),
    "Kaggle, the outer folder": ("img_align_celeba/img_align_celeba", "", "img_align_celeba"),
    "the images": ("img_align_celeba/img_align_celeba", "", "img_align_celeba/img_align_celeba"),
    "one folder": ("faces", "faces", "faces"),
    "the authors": ("Img/img_align_celeba.zip", "", ""),
}


def write(folder, layout="packed"):
    """CelebA in a layout, and what data.root is there."""
    images, tables, root = LAYOUTS[layout]
    if images.endswith(".zip"):
        prefix = "" if layout == "packed" else "img_align_celeba/"
        datasets.write_celeba_zip(folder / images, folder.parent / "unpacked", prefix)
    else:
        datasets.write_celeba_images(folder / images)
    datasets.write_celeba_tables(folder / tables, "csv" if layout.startswith("Kaggle") else "txt")
    if layout == "the authors":
        for place, name in (("Anno", "list_attr_celeba.txt"), ("Eval", "list_eval_partition.txt")):
            (folder / place).mkdir()
            (folder / name).rename(folder / place / name)
    return folder / root


def build(root, **arguments):
    return CelebA(str(root), **{"image_size": 16, "num_workers": 0, **arguments})


def numbers(batch):
    return ((batch.images.float().mean(dim=(1, 2, 3)) - 10) / 10).round().int().tolist()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same(tmp_path, layout):
    data = build(write(tmp_path / "root", layout))
    assert data.info == DataInfo(
        (3, 16, 16), ("image",), tuple(datasets.CELEBA_ATTRIBUTES), (2,) * 40
    )
    splits = [data.load("train"), data.load_val(), data.load("test")]
    for split, expected in zip(splits, [range(14), range(14, 18), range(18, 20)], strict=True):
        batch = everything(split)
        assert numbers(batch) == list(expected)
        assert batch.factors.dtype == torch.int64
        assert batch.factors.equal(datasets.CELEBA_FACTORS[list(expected)])
        assert batch.labels.eq(0).all()


def test_without_attributes_there_are_no_factors(tmp_path, caplog):
    root = write(tmp_path)
    (root / "list_attr_celeba.txt").unlink()
    rows = "".join(f"{name} 0\n" for name in datasets.CELEBA_NAMES)
    (root / "list_eval_partition.txt").write_text(rows)  # of one split alone
    data = build(root)
    assert "no attributes, official splits: train, random: val, test; 16 to train" in caplog.text
    assert data.info.factor_names == ()
    assert everything(data.load("train")).factors.shape == (18, 0)


def test_part_of_the_images_is_enough(tmp_path):
    root = write(tmp_path, "one folder")
    for name in datasets.CELEBA_NAMES[:4]:
        (root / name).unlink()
    data = build(root)
    assert [len(source) for source in (data.load("train"), data.load_val())] == [10, 4]
    for name in datasets.CELEBA_NAMES[4:14]:
        (root / name).unlink()
    assert_refused("puts none of the 6 images .* into the training split", build, root)


def test_without_a_partition_the_split_is_random_and_the_same_each_time(tmp_path, caplog):
    root = write(tmp_path)
    (root / "list_eval_partition.txt").unlink()
    data, again = build(root), build(root)
    assert "official splits: none, random: train, val, test; 16 to train, 2 to" in caplog.text
    train, test = everything(data.load("train")), everything(data.load("test"))
    assert data.load_val() is None
    assert sorted(numbers(train) + numbers(test)) == list(range(datasets.CELEBA_COUNT))
    assert numbers(test) == numbers(everything(again.load("test")))
    assert train.factors.equal(datasets.CELEBA_FACTORS[numbers(train)])


def test_missing(tmp_path):
    expected = (
        r"expected there, or in its folder celeba, img_align_celeba\.zip or.*list_attr_celeba"
    )
    assert_refused(expected, build, tmp_path)
    assert_refused(expected, build, tmp_path / "none")
    (tmp_path / "img_align_celeba").mkdir()
    assert_refused(expected, build, tmp_path)


def test_broken_zip(tmp_path):
    root = write(tmp_path)
    path = root / "img_align_celeba.zip"
    for content in (path.read_bytes()[:-500], b"<html>quota exceeded</html>"):
        path.write_bytes(content)
        assert_refused(r"img_align_celeba\.zip is no whole zip archive", build, root)


@pytest.mark.parametrize("name", ["list_attr_celeba.txt", "list_eval_partition.txt"])
def test_broken_tables(tmp_path, name):
    root = write(tmp_path)
    path = root / name
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]))
    assert_refused(rf"{name} has no row for 1 of 20 images, the first is '000020'", build, root)
    cut, wrong = lines[-1][:10], lines[-1][:-1] + "x"
    texts = ["\n".join([*lines[:-1], last]).encode() for last in (cut, wrong)]
    for content in (*texts, b"", b"\0\n" * 50, b"\xff\x00\n\x80" * 50):
        path.write_bytes(content)
        assert_refused(f"{name} is broken", build, root)


def test_an_attribute_gives_the_classes(tmp_path):
    data = build(write(tmp_path, "torchvision"), class_attribute="Smiling")
    assert data.info.class_names == ("not Smiling", "Smiling")
    column = datasets.CELEBA_ATTRIBUTES.index("Smiling")
    batch = everything(data.load("train"))
    assert batch.labels.equal(batch.factors[:, column])
    assert {*batch.labels.tolist()} == {0, 1}
    match = r"class_attribute is an attribute .*, got 'Smile'"
    assert_refused(match, build, tmp_path, class_attribute="Smile")
