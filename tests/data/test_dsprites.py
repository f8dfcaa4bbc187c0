import os

import numpy as np
import pytest
import torch

from lightning_gen.data import DSprites, dsprites, dsprites_file
from lightning_gen.errors import UserError
from support.datasets import dsprites_arrays, write_dsprites

N = 60


class Bomb:
    """Whoever unpickles it is caught."""

    def __reduce__(self):
        return os._exit, (3,)


@pytest.fixture(scope="module")
def arrays():
    return dsprites_arrays(N, metadata=Bomb())


def test_images_and_factors_come_back(tmp_path, arrays, monkeypatch):
    monkeypatch.setattr(dsprites_file, "PART", 16)
    write_dsprites(tmp_path, arrays)
    data = DSprites(str(tmp_path), download=False, test_fraction=0.25)
    train, test = data.load_train(), data.load_test()
    assert (len(train), len(test)) == (45, 15)
    positions = torch.cat([train.indices, test.indices])
    assert positions.sort().values.equal(torch.arange(N))
    for source in (train, test):
        batch = source[torch.arange(len(source))]
        positions = source.indices.numpy()
        assert batch.images.dtype == torch.uint8
        np.testing.assert_array_equal(batch.images[:, 0].numpy(), 255 * arrays["imgs"][positions])
        classes = arrays["latents_classes"][positions, 1:]
        np.testing.assert_array_equal(batch.factors.numpy(), classes)
        np.testing.assert_array_equal(batch.labels.numpy(), classes[:, 0])


def test_pixels_are_held_as_bits(tmp_path, arrays):
    write_dsprites(tmp_path, arrays)
    source = DSprites(str(tmp_path), download=False).load_train().source
    assert source.bits.nbytes == N * 64 * 64 // 8


def test_describes_itself_without_the_file(tmp_path):
    data = DSprites(str(tmp_path))
    assert data.image_shape == (1, 64, 64)
    assert data.factor_sizes == (3, 6, 40, 32, 32)
    assert data.num_classes == 3


def test_loaders(tmp_path, arrays):
    write_dsprites(tmp_path, arrays)
    data = DSprites(str(tmp_path), download=False, batch_size=8)
    data.setup("fit")
    assert sum(len(batch.images) for batch in data.train_dataloader()) == 48  # and one alone
    assert sum(len(batch.images) for batch in data.val_dataloader()) == 5
    data.setup("test")
    assert sum(len(batch.images) for batch in data.test_dataloader()) == 6


def test_a_whole_turn_is_in_the_split_of_none(tmp_path, arrays):
    arrays = dict(arrays)
    classes = arrays["latents_classes"].copy()
    classes[1::2] = classes[::2]
    classes[::2, 3], classes[1::2, 3] = 0, 39
    arrays["latents_classes"] = classes
    write_dsprites(tmp_path, arrays)
    data = DSprites(str(tmp_path), download=False, test_fraction=0.3, val_fraction=0.3)
    data.setup("fit")
    data.setup("test")
    for split in ("train", "val", "test"):
        [batch] = data.in_order(split, N)
        assert batch.factors[:, 2].bincount()[[0, 39]].unique().numel() == 1


def assert_refused(folder, match):
    with pytest.raises(UserError, match=match) as caught:
        DSprites(str(folder), download=False).load_train()
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path):
    assert_refused(tmp_path, r"dsprites_.*npz is missing.*put dsprites_")


def test_truncated_file(tmp_path, arrays):
    path = write_dsprites(tmp_path, arrays)
    path.write_bytes(path.read_bytes()[:-1000])
    assert_refused(tmp_path, "not the dSprites file")


def test_flipped_bytes(tmp_path, arrays):
    path = write_dsprites(tmp_path, arrays)
    content = bytearray(path.read_bytes())
    middle = content.index(b"imgs.npy") + 20_000
    content[middle : middle + 64] = bytes(64)
    path.write_bytes(content)
    assert_refused(tmp_path, "not the dSprites file")


@pytest.mark.parametrize(
    ("key", "array"),
    [
        ("imgs", np.zeros((N, 32, 32), dtype=np.uint8)),
        ("imgs", np.zeros((N - 1, 64, 64), dtype=np.uint8)),
        ("imgs", np.zeros((N, 64, 64), dtype=np.float32)),
        ("imgs", np.array([Bomb()], dtype=object)),
        ("latents_classes", np.array([Bomb()], dtype=object)),
        ("latents_classes", np.zeros((N, 5), dtype=np.int64)),
        ("latents_classes", np.full((N, 6), 2)),
        ("latents_classes", np.full((N, 6), "a")),
    ],
)
def test_other_arrays(tmp_path, arrays, key, array):
    write_dsprites(tmp_path, arrays | {key: array})
    assert_refused(tmp_path, "not the dSprites file")


@pytest.mark.parametrize("key", ["imgs", "latents_classes"])
def test_missing_array(tmp_path, arrays, key):
    write_dsprites(tmp_path, {name: array for name, array in arrays.items() if name != key})
    assert_refused(tmp_path, "not the dSprites file")


def test_download(tmp_path, arrays, monkeypatch, serve):
    content = write_dsprites(tmp_path, arrays).read_bytes()
    monkeypatch.setattr(dsprites, "MIRRORS", (serve({}), serve({dsprites.FILE: content})))
    data = DSprites(str(tmp_path / "new"))
    data.prepare_data()
    assert [file.name for file in data.path.parent.iterdir()] == [dsprites.FILE]
    assert data.path.read_bytes() == content
    assert len(data.load_test()) == 6


def test_download_that_breaks_off_leaves_nothing(tmp_path, arrays, monkeypatch, serve):
    content = write_dsprites(tmp_path, arrays).read_bytes()
    monkeypatch.setattr(dsprites, "MIRRORS", (serve({dsprites.FILE: content}, cut=True),))
    data = DSprites(str(tmp_path / "new"))
    with pytest.raises(UserError, match=r"could not be downloaded whole.*put the file at"):
        data.prepare_data()
    assert not data.path.parent.exists()
