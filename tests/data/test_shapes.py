import math
import os
from itertools import product

import numpy as np
import pytest
import torch

from lightning_gen.data import DataInfo, DSprites, Shapes, dsprites, shapes
from support.datasets import dsprites_arrays, write_dsprites
from support.refusals import assert_refused

SIZES = tuple(shapes.FACTORS.values())
SQUARE, ELLIPSE, HEART = range(3)


def random_factors(n):
    return torch.stack([torch.randint(size, (n,)) for size in SIZES], dim=1)


@pytest.mark.parametrize(("scale", "size"), [(3, 12), (5, 15)])
@pytest.mark.parametrize("orientation", [0, 7, 13])
def test_area_centroid_and_farthest_point(scale, size, orientation):
    images = shapes.draw_shapes(
        torch.tensor([[shape, scale, orientation, 8, 24] for shape in range(3)])
    )
    areas = (2, math.pi / 2, (2 + math.pi / 2) / 1.31329**2)  # of a size of 1
    turn = 2 * math.pi * orientation / 40
    farthest = (turn + math.pi / 4, turn, turn + math.pi / 2)  # a corner, a vertex, the tip
    right, down = (torch.arange(64) + 0.5 - (16 + 32 * step / 31) for step in (8, 24))
    for image, area, angle in zip(images, areas, farthest, strict=True):
        assert image.sum().item() == pytest.approx(area * size**2, rel=0.04)
        assert right.expand(64, 64)[image].mean().abs() <= 0.4
        assert down[:, None].expand(64, 64)[image].mean().abs() <= 0.4
        reach = right[None, :] * math.cos(angle) + down[:, None] * math.sin(angle)
        assert reach[image].max().item() == pytest.approx(size, abs=1)


def test_every_shape_lies_wholly_in_the_frame():
    assert shapes.REACH < 16
    corners = torch.cartesian_prod(
        torch.arange(3), torch.tensor([5]), torch.arange(40), *[torch.tensor([0, 31])] * 2
    )
    for factors in torch.cat([corners, random_factors(500)]).split(512):
        images = shapes.draw_shapes(factors)
        assert images.any(dim=(1, 2)).all()
        for border in (images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]):
            assert not border.any()


def test_indices_are_those_of_dsprites():
    factors = random_factors(200)
    indices = torch.from_numpy(np.ravel_multi_index(factors.numpy().T, SIZES))
    batch = shapes.DrawnShapes()[indices]
    assert batch.factors.equal(factors)
    assert batch.factors.dtype == torch.int64
    assert batch.labels.equal(factors[:, 0])
    assert len(shapes.DrawnShapes()) == 737_280


@pytest.fixture(scope="module")
def data():
    data = Shapes(1000, test_fraction=0.2, val_fraction=0.25, num_workers=2)
    data.setup("fit")
    data.setup("test")
    return data


def test_datamodule_describes_itself_and_keeps_splits_apart(data):
    classes, factors = ("square", "ellipse", "heart"), ("shape", "scale", "orientation", "x", "y")
    assert data.info == DataInfo((1, 64, 64), classes, factors, (3, 6, 40, 32, 32))
    assert data.num_workers == 2
    indices = {split: data.splits[split].indices for split in ("train", "val", "test")}
    assert torch.cat([*indices.values()]).sort().values.equal(torch.arange(737_280))
    assert len(indices["test"]) / 737_280 == pytest.approx(0.2, abs=0.002)
    assert len(indices["val"]) / len(indices["train"]) == pytest.approx(1 / 3, abs=0.005)
    # Of images that look alike (see the test below), all are in the same split.
    alike = [{*shapes.look_alike(positions).tolist()} for positions in indices.values()]
    assert sum(map(len, alike)) == len(set.union(*alike)) == 737_280 * 7 // 12


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_first_images_of_every_split_are_a_fair_sample(data, split):
    batch = next(iter(data.in_order(split)))
    assert batch.images.dtype == torch.uint8
    assert batch.images.shape == (1000, 1, shapes.SIZE, shapes.SIZE)
    assert batch.images.unique().tolist() == [0, 255]
    for column, size in zip(batch.factors.T, data.info.factor_sizes, strict=True):
        counts = column.bincount(minlength=size)
        assert (counts > 0).all()
        assert counts.max() < 2.5 * 1000 / size


@pytest.mark.parametrize(("shape", "period"), [(SQUARE, 10), (ELLIPSE, 20), (HEART, 40)])
def test_what_looks_alike_is_of_one_group_and_drawn_the_same(shape, period):
    turned = torch.tensor([[shape, 3, k, 10, 20] for k in range(40)])
    groups = shapes.look_alike(shapes.index_of(turned))
    assert len(groups.unique()) == period
    images = shapes.draw_shapes(turned)
    same = (images[:, None] == images[None]).flatten(2).all(dim=2)
    assert same.equal(groups[:, None] == groups[None])


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1])
def test_test_fraction_out_of_range(fraction):
    assert_refused(r"data\.test_fraction", Shapes, test_fraction=fraction)


N = 60


class Bomb:
    def __reduce__(self):
        return os._exit, (3,)


@pytest.fixture(scope="module")
def arrays():
    return dsprites_arrays(N, metadata=Bomb())


def test_dsprites_images_and_factors_come_back(tmp_path, arrays, monkeypatch):
    monkeypatch.setattr(dsprites, "PART", 16)
    write_dsprites(tmp_path, arrays)
    data = DSprites(str(tmp_path), download=False, test_fraction=0.25)
    train, test = data.load("train"), data.load("test")
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


def test_dsprites_a_whole_turn_is_in_the_split_of_none(tmp_path, arrays):
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
    return DSprites(str(folder), download=False).load("train")


def test_dsprites_missing_or_broken_file(tmp_path, arrays):
    assert_refused(r"dsprites_.*npz is missing.*put dsprites_", read, tmp_path)
    path = write_dsprites(tmp_path, arrays)
    content, middle = path.read_bytes(), path.stat().st_size // 2
    for broken in (content[:-1000], content[:middle] + bytes(64) + content[middle + 64 :]):
        path.write_bytes(broken)
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
def test_dsprites_other_arrays(tmp_path, arrays, key, array):
    arrays = {name: a for name, a in (arrays | {key: array}).items() if a is not None}
    write_dsprites(tmp_path, arrays)
    assert_refused("not the dSprites file", read, tmp_path)


def test_dsprites_download(tmp_path, arrays, monkeypatch, serve):
    content = write_dsprites(tmp_path, arrays).read_bytes()
    monkeypatch.setattr(dsprites, "MIRRORS", (serve({}), serve({dsprites.FILE: content})))
    data = DSprites(str(tmp_path / "new"))
    data.prepare_data()
    assert [file.name for file in data.path.parent.iterdir()] == [dsprites.FILE]
    assert data.path.read_bytes() == content
    assert len(data.load("test")) == 6
