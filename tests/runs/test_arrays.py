import tracemalloc

import numpy as np
import pytest

from lightning_gen.errors import UserError
from lightning_gen.runs.arrays import GrowingArrays, read_rows
from support.arrays import arrays_of


@pytest.fixture
def codes(tmp_path):
    """A file of 10 codes, and the codes."""
    array = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)
    path = tmp_path / "codes.npz"
    np.savez(path, codes=array, names=np.array(list("abcdefghij")))
    return path, array


def test_what_grew_is_what_numpy_would_have_written(tmp_path):
    random = np.random.default_rng(0)
    images = random.integers(256, size=(7, 1, 4, 4), dtype=np.uint8)
    labels = random.integers(9, size=7)
    codes = random.normal(size=(7, 3)).astype(np.float32)[:, ::-1]
    names = np.array([f"ä{number}" for number in range(7)])
    with GrowingArrays(tmp_path) as arrays:
        for part in (slice(0, 3), slice(3, 3), slice(3, 7)):
            arrays.append(images=images[part], labels=labels[part], codes=codes[part])
        arrays.pack(tmp_path / "grown.npz", names=names)
    np.savez(tmp_path / "expected.npz", images=images, labels=labels, codes=codes, names=names)
    grown, expected = arrays_of(tmp_path / "grown.npz"), arrays_of(tmp_path / "expected.npz")
    assert set(grown) == set(expected)
    for name in expected:
        assert grown[name].dtype == expected[name].dtype
        np.testing.assert_array_equal(grown[name], expected[name])
    assert {path.name for path in tmp_path.iterdir()} == {"grown.npz", "expected.npz"}


@pytest.mark.parametrize("packing", [True, False])
def test_an_error_leaves_nothing_behind(tmp_path, packing):
    def write():
        with GrowingArrays(tmp_path / "new") as arrays:
            arrays.append(codes=np.zeros((3, 2)))
            if packing:
                arrays.pack(tmp_path / "new" / "a.npz", names=np.array([object()]))
            raise KeyError

    with pytest.raises(ValueError if packing else KeyError):
        write()
    assert not list((tmp_path / "new").iterdir())


@pytest.mark.parametrize("batch_size", [1, 3, 10, 99])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_parts_make_up_the_array(codes, batch_size, save):
    path, array = codes
    save(path, codes=array)
    parts = list(read_rows(path, "codes", batch_size))
    assert [len(part) for part in parts[:-1]] == [batch_size] * (len(parts) - 1)
    np.testing.assert_array_equal(np.concatenate(parts), arrays_of(path)["codes"])


@pytest.mark.parametrize("dtype", ["float64", "float16", "uint8", "int64", ">f4"])
def test_other_numbers_are_read(tmp_path, dtype):
    array = np.arange(12).reshape(4, 3).astype(dtype)
    np.savez(tmp_path / "a.npz", codes=array)
    np.testing.assert_array_equal(
        np.concatenate([*read_rows(tmp_path / "a.npz", "codes", 3)]), array
    )


def refused(path, name="codes"):
    with pytest.raises(UserError) as caught:
        list(read_rows(path, name, 3))
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@pytest.mark.parametrize("size", [0, 30, 200, -30])
def test_a_cut_off_file_is_refused(codes, size):
    path, _ = codes
    content = path.read_bytes()
    path.write_bytes(content[:size])
    assert "no .npz with an array 'codes'" in refused(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_file_with_changed_bytes_is_refused(codes, save):
    path, array = codes
    save(path, codes=array)
    content = bytearray(path.read_bytes())
    content[170:190] = b"\xff" * 20
    path.write_bytes(content)
    assert "no .npz with an array 'codes'" in refused(path)


@pytest.mark.parametrize(
    "array",
    [
        np.array(["a", "b"]),
        np.array([object()]),
        np.asfortranarray(np.zeros((3, 2))),
        np.float32(3),
        np.zeros(3, dtype=bool),
    ],
    ids=["names", "objects", "column order", "one number", "bool"],
)
def test_what_are_no_rows_of_numbers_is_refused(tmp_path, array):
    np.savez(tmp_path / "a.npz", codes=array)
    assert "lightning-gen encode" in refused(tmp_path / "a.npz")


def test_a_missing_array_and_a_missing_file_are_refused(codes, tmp_path):
    refused(codes[0], "images")
    refused(tmp_path / "none.npz")


def test_a_large_file_is_read_in_little_memory(tmp_path):
    path = tmp_path / "large.npz"
    with GrowingArrays(tmp_path) as arrays:
        for number in range(100):
            arrays.append(codes=np.full((1000, 64), number, dtype=np.float32))
        arrays.pack(path)
    assert path.stat().st_size > 25_000_000
    tracemalloc.start()
    total = sum(float(part[:, 0].sum()) for part in read_rows(path, "codes", 256))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 1000 * 99 * 100 / 2
    assert peak < 2_000_000
