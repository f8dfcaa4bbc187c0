import csv

import numpy as np
import pytest
import torch
from PIL import Image

from lightning_gen.contracts import NO_CLASS
from lightning_gen.figures.grid import image_grid, image_rows
from lightning_gen.runs.outputs import ResultBatch, to_bytes, write
from support.arrays import arrays_of

NAMES = ["a/1.jpg", "a/2.png", "b.tif"]


def in_two(rows, arrays=None, names=NAMES):
    """Results in two batches."""
    for part in (slice(2), slice(2, None)):
        cut = [{key: each[part] for key, each in found.items()} for found in (rows, arrays or {})]
        yield ResultBatch(names[part], *cut)


def pixels(path):
    return np.asarray(Image.open(path))


@pytest.fixture
def images():
    return torch.rand(3, 3, 8, 10)


def test_one_row_is_a_square_and_more_are_rows(images, tmp_path):
    path = write(tmp_path / "new" / "page.png", in_two({"sample": images}), "title")
    np.testing.assert_array_equal(pixels(path), image_grid(images, "title"))
    rows = {"original": images, "reconstruction": 1 - images}
    path = write(tmp_path / "page.png", [ResultBatch(NAMES, rows)], "title")
    np.testing.assert_array_equal(pixels(path), image_rows(rows, "title"))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_folder_keeps_the_names(images, tmp_path, channels):
    images = images[:, :channels]
    write(
        tmp_path / "out", [ResultBatch(NAMES, {"original": 0 * images, "reconstruction": images})]
    )
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png"))
    assert found == ["out/a/1.png", "out/a/2.png", "out/b.png"]
    for name, image in zip(found, to_bytes(images), strict=True):
        expected = image[0] if channels == 1 else image.transpose(1, 2, 0)
        np.testing.assert_array_equal(pixels(tmp_path / name), expected)


def test_files_of_one_name_are_all_kept(tmp_path):
    """Also where the number that would tell them apart is taken; dots in a name stay."""
    images = torch.linspace(0, 1, 4)[:, None, None, None].expand(4, 1, 8, 8)
    names = ["a.jpg", "a.png", "a_2.png", "A.png"]
    for start in (0, 2):
        write(tmp_path / "out", in_two({"sample": images}, names=names))
        grey = sorted(pixels(path)[0, 0] for path in (tmp_path / "out").iterdir())
        assert grey == [0, 85, 170, 255], f"reading {start}"
    write(tmp_path / "dots", [ResultBatch(["v1.2.jpg", "v1.3.jpg"], {"sample": images[:2]})])
    assert {path.name for path in (tmp_path / "dots").iterdir()} == {"v1.2.png", "v1.3.png"}


def test_arrays_hold_the_result_and_what_else_is_known(images, tmp_path):
    labels, codes = torch.tensor([1, 0, 1]), torch.arange(6.0).view(3, 2)
    rows = {"original": 0 * images, "result": images}
    parts = in_two(rows, {"labels": labels, "codes": codes})
    found = arrays_of(write(tmp_path / "a.npz", parts, class_names=("x", "y")))
    assert set(found) == {"images", "labels", "codes", "names", "class_names"}
    np.testing.assert_allclose(found["images"] / 255, images, atol=0.5 / 255 + 1e-6)
    assert found["labels"].tolist() == [1, 0, 1]
    assert found["codes"].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert found["names"].tolist() == NAMES
    assert found["class_names"].tolist() == ["x", "y"]


@pytest.mark.parametrize(
    ("classes", "labels"), [(("x, y", "z"), ["z", "x, y", ""]), ((), ["1", "0", ""])]
)
def test_a_table_has_a_line_an_image(tmp_path, classes, labels):
    codes, numbers = torch.tensor([[0.1, -2e-8], [123456.0, 1 / 3], [0, 1]]), (1, 0, NO_CLASS)
    parts = [
        ResultBatch([NAMES[n]], {}, {"codes": codes[[n]], "labels": torch.tensor([number])})
        for n, number in enumerate(numbers)
    ]
    path = write(tmp_path / "a.csv", parts, class_names=classes, images=False)
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == ["name", "label", "z0", "z1"]
    assert [line["name"] for line in lines] == NAMES
    assert [line["label"] for line in lines] == labels
    found = [[float(line["z0"]), float(line["z1"])] for line in lines]
    np.testing.assert_allclose(found, codes, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "images"), [("a.npz", True), ("codes.npz", False), ("a.png", True)]
)
def test_a_failure_leaves_the_old_file(tmp_path, name, images):
    (tmp_path / name).write_text("old")

    def parts():
        rows = {"sample": torch.rand(1, 1, 8, 8)} if images else {}
        known = {"labels": torch.zeros(1, dtype=torch.int64), "codes": torch.zeros(1, 2)}
        yield ResultBatch(["a"], rows, known)
        raise KeyError

    with pytest.raises(KeyError):
        write(tmp_path / name, parts(), images=images)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "old"


def test_bytes_are_rounded_and_cut_to_the_range():
    images = torch.tensor([-0.2, 0.0, 0.4999 / 255, 0.5001 / 255, 1.0, 3.0]).view(1, 1, 2, 3)
    assert to_bytes(images).flatten().tolist() == [0, 0, 0, 1, 255, 255]


@pytest.mark.parametrize("names", [("Smiling", "Male"), ()])
def test_attributes_stand_in_both_kinds_of_table(names, tmp_path):
    factors = torch.tensor([[0.0, 1.0], [2.0, 0.5], [1.0, 0.0]])
    labels = torch.zeros(3, dtype=torch.int64)
    part = ResultBatch(NAMES, {}, {"labels": labels, "factors": factors, "codes": torch.rand(3, 1)})
    for name in ("a.npz", "a.csv"):
        write(tmp_path / name, [part], factor_names=names, images=False)
    kept = arrays_of(tmp_path / "a.npz")
    assert kept["factors"].tolist() == factors.tolist()
    assert kept.get("factor_names", np.array([])).tolist() == list(names)
    with (tmp_path / "a.csv").open(newline="") as file:
        header, *lines = csv.reader(file)
    assert header == ["name", "label", *(names or ("attribute_0", "attribute_1")), "z0"]
    assert [[float(cell) for cell in line[2:4]] for line in lines] == factors.tolist()


def test_a_name_of_any_length_becomes_that_of_a_file(tmp_path):
    names = [f"{name}{ending}" for name in ("ü" * 122, "n" * 251) for ending in (".png", ".jpg")]
    write(tmp_path / "out", [ResultBatch(names, {"result": torch.rand(4, 1, 8, 8)})])
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_no_cell_is_taken_for_a_formula_by_a_spreadsheet(tmp_path):
    names = ["=cmd|'calc'!A1", "+1", "-1", "@SUM(A1)", "plain"]
    arrays = {"codes": torch.rand(5, 1), "factors": torch.rand(5, 5), "labels": torch.arange(5)}
    words = {"class_names": names, "factor_names": names, "images": False}
    path = write(tmp_path / "a.csv", [ResultBatch(names, {}, arrays)], **words)
    with path.open(newline="") as file:
        header, *lines = csv.reader(file)
    for cells in (header[2:7], *(line[:2] for line in lines)):
        assert not [cell for cell in cells if cell[0] in "=+-@"]
        assert {cell.removeprefix("'") for cell in cells} <= set(names)
