import pytest
import torch

from lightning_gen.data import CelebA
from lightning_gen.errors import UserError
from support.datasets import (
    CELEBA_ATTRIBUTES,
    CELEBA_COUNT,
    CELEBA_FACTORS,
    CELEBA_NAMES,
    celeba_grey,
    write_celeba_images,
    write_celeba_tables,
    write_celeba_zip,
)


def torchvision_folder(tmp):
    write_celeba_images(tmp / "celeba" / "img_align_celeba")
    write_celeba_tables(tmp / "celeba")
    return tmp


def torchvision_zip(tmp):
    write_celeba_zip(tmp / "celeba" / "img_align_celeba.zip", tmp)
    write_celeba_tables(tmp / "celeba")
    return tmp


def zip_in_root(tmp):
    write_celeba_zip(tmp / "data" / "img_align_celeba.zip", tmp, prefix="")
    write_celeba_tables(tmp / "data")
    return tmp / "data"


def zip_itself(tmp):
    return zip_in_root(tmp) / "img_align_celeba.zip"


def kaggle(tmp):
    write_celeba_images(tmp / "img_align_celeba" / "img_align_celeba")
    write_celeba_tables(tmp, "csv")
    return tmp


def kaggle_outer_folder(tmp):
    return kaggle(tmp) / "img_align_celeba"


def folder_with_images(tmp):
    return kaggle_outer_folder(tmp) / "img_align_celeba"


def everything_in_one_folder(tmp):
    write_celeba_images(tmp / "faces")
    write_celeba_tables(tmp / "faces")
    return tmp / "faces"


def authors(tmp):
    write_celeba_zip(tmp / "CelebA" / "Img" / "img_align_celeba.zip", tmp)
    write_celeba_tables(tmp / "tables")
    for folder, name in (("Anno", "list_attr_celeba.txt"), ("Eval", "list_eval_partition.txt")):
        (tmp / "CelebA" / folder).mkdir()
        (tmp / "tables" / name).rename(tmp / "CelebA" / folder / name)
    return tmp / "CelebA"


def build(root, **arguments):
    return CelebA(str(root), **{"image_size": 16, "num_workers": 0, **arguments})


def everything(source):
    return source[torch.arange(len(source))]


def numbers(batch):
    return ((batch.images.float().mean(dim=(1, 2, 3)) - 10) / 10).round().int().tolist()


def assert_refused(match, root, **arguments):
    with pytest.raises(UserError, match=match) as caught:
        build(root, **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "layout",
    [
        torchvision_folder,
        torchvision_zip,
        zip_in_root,
        zip_itself,
        kaggle,
        kaggle_outer_folder,
        folder_with_images,
        everything_in_one_folder,
        authors,
    ],
)
def test_every_layout_gives_the_same(tmp_path, layout):
    data = build(layout(tmp_path))
    assert data.image_shape == (3, 16, 16)
    assert data.class_names == ("image",)
    assert data.factor_names == tuple(CELEBA_ATTRIBUTES)
    assert data.factor_sizes == (2,) * 40
    splits = [data.load_train(), data.load_val(), data.load_test()]
    for split, expected in zip(splits, [range(14), range(14, 18), range(18, 20)], strict=True):
        batch = everything(split)
        assert numbers(batch) == list(expected)
        assert batch.factors.dtype == torch.int64
        assert batch.factors.equal(CELEBA_FACTORS[list(expected)])
        assert batch.labels.eq(0).all()


def test_the_middle_is_cut_out_of_the_whole_image(tmp_path):
    data = build(torchvision_folder(tmp_path), image_size=178)
    images = everything(data.load_train()).images[:, 0].int()
    grey = torch.tensor([celeba_grey(number) for number in range(14)])[:, None, None]
    assert (images - grey).abs().max() <= 12  # the black rows are gone, but for JPEG's blocks
    tall = build(tmp_path, image_size=(218, 178))
    images = everything(tall.load_train()).images
    assert images[:, :, :10].max() <= 12
    assert images[-1, :, 109].min() >= 130


def test_without_attributes_there_are_no_factors(tmp_path, caplog):
    root = zip_in_root(tmp_path)
    (root / "list_attr_celeba.txt").unlink()
    with caplog.at_level("INFO"):
        data = build(root)
    assert "no attributes, official splits: train, val, test, random: none; 14" in caplog.text
    assert data.factor_names == ()
    assert everything(data.load_train()).factors.shape == (14, 0)


def test_without_a_partition_the_split_is_random_and_the_same_each_time(tmp_path, caplog):
    root = zip_in_root(tmp_path)
    (root / "list_eval_partition.txt").unlink()
    with caplog.at_level("INFO"):
        data, again = build(root), build(root)
    assert "official splits: none, random: train, val, test; 16 to train, 2 to" in caplog.text
    train, test = everything(data.load_train()), everything(data.load_test())
    assert data.load_val() is None
    assert sorted(numbers(train) + numbers(test)) == list(range(CELEBA_COUNT))
    assert numbers(test) == numbers(everything(again.load_test()))
    assert train.factors.equal(CELEBA_FACTORS[numbers(train)])


def test_part_of_the_images_is_enough(tmp_path):
    root = torchvision_folder(tmp_path)
    for name in CELEBA_NAMES[10:]:
        (root / "celeba" / "img_align_celeba" / name).unlink()
    data = build(root, test_fraction=0.2)
    assert len(data.load_train()) + len(data.load_test()) == 10
    assert data.load_val() is None
    for name in CELEBA_NAMES[:10]:
        (root / "celeba" / "img_align_celeba" / name).unlink()
    write_celeba_images(root / "celeba" / "img_align_celeba")
    for name in CELEBA_NAMES[:14]:
        (root / "celeba" / "img_align_celeba" / name).unlink()
    assert_refused("puts none of the 6 images .* into the training split", root)


def test_missing(tmp_path):
    expected = (
        r"expected there, or in its folder celeba, img_align_celeba\.zip or.*list_attr_celeba"
    )
    assert_refused(expected, tmp_path)
    assert_refused(expected, tmp_path / "none")
    (tmp_path / "img_align_celeba").mkdir()
    assert_refused(expected, tmp_path)


def test_broken_zip(tmp_path):
    root = zip_in_root(tmp_path)
    path = root / "img_align_celeba.zip"
    path.write_bytes(path.read_bytes()[:-500])
    assert_refused(r"img_align_celeba\.zip is no whole zip archive", root)
    path.write_text("<html>quota exceeded</html>")
    assert_refused(r"img_align_celeba\.zip is no whole zip archive", root)


@pytest.mark.parametrize("name", ["list_attr_celeba.txt", "list_eval_partition.txt"])
def test_broken_tables(tmp_path, name):
    root = zip_in_root(tmp_path)
    path = root / name
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]))
    assert_refused(rf"{name} has no row for 1 of 20 images, the first is '000020'", root)
    cut, wrong = lines[-1][:10], lines[-1][:-1] + "x"
    for content in (
        "\n".join([*lines[:-1], cut]),
        "\n".join([*lines[:-1], wrong]),
        "",
        "\0\n" * 50,
    ):
        path.write_text(content)
        assert_refused(f"{name} is broken", root)
    path.write_bytes(b"\xff\x00\n\x80" * 50)
    assert_refused(f"{name} is broken", root)


def test_an_attribute_gives_the_classes(tmp_path):
    data = build(torchvision_folder(tmp_path), class_attribute="Smiling")
    assert data.class_names == ("not Smiling", "Smiling")
    column = CELEBA_ATTRIBUTES.index("Smiling")
    batch = everything(data.load_train())
    assert batch.labels.equal(batch.factors[:, column])
    assert {*batch.labels.tolist()} == {0, 1}
    with pytest.raises(UserError, match=r"class_attribute is an attribute .*, got 'Smile'"):
        build(tmp_path, class_attribute="Smile")


def test_a_table_of_one_split_gives_one_official_split(tmp_path, caplog):
    write_celeba_images(tmp_path / "img_align_celeba")
    rows = "".join(f"{name} 0\n" for name in CELEBA_NAMES)
    (tmp_path / "list_eval_partition.txt").write_text(rows)
    with caplog.at_level("INFO"):
        build(tmp_path)
    assert "official splits: train, random: val, test; 16 to train" in caplog.text
