import os
from itertools import product

import numpy as np
import pytest
import torch

from lightning_gen.data import DSprites, dsprites
from support.datasets import dsprites_arrays, write_dsprites
from support.refusals import assert_refused

N = 60


class Bomb:
    """Whoever unpickles it is caught."""

    def __reduce__(self):
        return os._exit, (3,)


@pytest.fixture(scope="module")
def arrays():
    return dsprites_arrays(N, metadata=Bomb())


def test_images_and_factors_come_back(tmp_path, arrays, monkeypatch):
    monkeypatch.setattr(dsprites, "PART", 16)
    write_dsprites(tmp_path, arrays)
    data = DSprites(str(tmp_path), download=False, test_fraction=0.25)
    train, test = data.load_train(), data.load_test()
    assert (len(train), len(test)) == (45, 15)
    positions = torch.cat([train.indices, test.indices])
    assert positions.sort().values.equal(torch.arange(N))
    assert train.source.bits.nbytes == N * 64 * 64 // 8
    for source in (train, test):
        batch = source[torch.arange(len(source))]
        positions = source.indices.numpy()
        assert batch.images.dtype == torch.uint8
        np.testing.assert_array_equal(batch.images[:, 0].numpy(), 255 * arrays["imgs"][positions])
        classes = arrays["latents_classes"][positions, 1:]
        np.testing.assert_array_equal(batch.factors.numpy(), classes)
        np.testing.assert_array_equal(batch.labels.numpy(), classes[:, 0])


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


def read(folder):
    return DSprites(str(folder), download=False).load_train()


def test_missing_file(tmp_path):
    assert_refused(r"dsprites_.*npz is missing.*put dsprites_", read, tmp_path)


@pytest.mark.parametrize("flipped", [False, True])
def test_broken_file(tmp_path, arrays, flipped):
    path = write_dsprites(tmp_path, arrays)
    content = bytearray(path.read_bytes())
    if flipped:
        middle = len(content) // 2
        content[middle : middle + 64] = bytes(64)
    path.write_bytes(content if flipped else content[:-1000])
    assert_refused("not the dSprites file", read, tmp_path)


@pytest.mark.parametrize(
    ("key", "array"),
    [
        *(("imgs", np.zeros(shape, np.uint8)) for shape in ((N, 32, 32), (N - 1, 64, 64))),
        ("imgs", np.zeros((N, 64, 64), dtype=np.float32)),
        ("latents_classes", np.zeros((N, 5), dtype=np.int64)),
        *(("latents_classes", np.full((N, 6), wrong)) for wrong in (2, "a")),
        *product(("imgs", "latents_classes"), (None, np.array([Bomb()], dtype=object))),
    ],
)
def test_other_arrays(tmp_path, arrays, key, array):
    arrays = {name: a for name, a in (arrays | {key: array}).items() if a is not None}
    write_dsprites(tmp_path, arrays)
    assert_refused("not the dSprites file", read, tmp_path)


def test_download(tmp_path, arrays, monkeypatch, serve):
    content = write_dsprites(tmp_path, arrays).read_bytes()
    monkeypatch.setattr(dsprites, "MIRRORS", (serve({}), serve({dsprites.FILE: content})))
    data = DSprites(str(tmp_path / "new"))
    data.prepare_data()
    assert [file.name for file in data.path.parent.iterdir()] == [dsprites.FILE]
    assert data.path.read_bytes() == content
    assert len(data.load_test()) == 6
