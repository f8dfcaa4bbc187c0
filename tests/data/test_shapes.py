import math

import numpy as np
import pytest
import torch

from lightning_gen.data import Shapes
from lightning_gen.data.shapes import FACTORS, REACH, SIZE, DrawnShapes, draw, index_of, look_alike
from support.refusals import assert_refused

SIZES = tuple(FACTORS.values())
SQUARE, ELLIPSE, HEART = range(3)


def random_factors(n):
    return torch.stack([torch.randint(size, (n,)) for size in SIZES], dim=1)


def drawn_pixel_by_pixel(shape, scale, orientation, x, y):
    """The shapes from their descriptions, with complex numbers for the rotation."""
    size = 15 * (0.5 + 0.1 * scale)
    centre = complex(16 + 32 * x / 31, 16 + 32 * y / 31)
    turn = np.exp(-2j * math.pi * orientation / 40)
    image = np.zeros((64, 64), dtype=bool)
    for row in range(64):
        for column in range(64):
            point = (complex(column + 0.5, row + 0.5) - centre) * turn / size
            image[row, column] = INSIDE[shape](point)
    return image


def in_heart(point):
    # Half the diagonal of the square; its centroid lies `rise` halves above the square's centre.
    rise = (math.pi / 4 + 1 / 3) / (2 + math.pi / 2)
    half = 1 / (1 + rise)
    point = complex(point.real, rise * half - point.imag) / half
    square = abs(point.real) + abs(point.imag) <= 1
    return square or any(abs(point - c) <= math.sqrt(0.5) for c in (0.5 + 0.5j, -0.5 + 0.5j))


INSIDE = {
    SQUARE: lambda p: max(abs(p.real), abs(p.imag)) <= math.sqrt(0.5),
    ELLIPSE: lambda p: abs(complex(p.real, 2 * p.imag)) <= 1,
    HEART: in_heart,
}


def test_matches_a_renderer_that_goes_pixel_by_pixel():
    factors = random_factors(40)
    for image, row in zip(draw(factors).numpy(), factors.tolist(), strict=True):
        # Float32 and float64 may disagree about a pixel whose centre is on the border.
        assert (image != drawn_pixel_by_pixel(*row)).sum() <= 2, row


@pytest.mark.parametrize(
    ("shape", "area"),  # of a size of 1
    [(SQUARE, 2), (ELLIPSE, math.pi / 2), (HEART, (2 + math.pi / 2) / 1.31329**2)],
)
@pytest.mark.parametrize(("scale", "size"), [(3, 12), (5, 15)])
@pytest.mark.parametrize("orientation", [0, 7, 13])
def test_area_and_centroid(shape, area, scale, size, orientation):
    image = draw(torch.tensor([[shape, scale, orientation, 8, 24]]))[0].double()
    assert image.sum().item() == pytest.approx(area * size**2, rel=0.04)
    centres = torch.arange(64).double() + 0.5
    x, y = image.sum(0) @ centres / image.sum(), image.sum(1) @ centres / image.sum()
    assert x.item() == pytest.approx(16 + 32 * 8 / 31, abs=0.4)
    assert y.item() == pytest.approx(16 + 32 * 24 / 31, abs=0.4)


def test_every_shape_lies_wholly_in_the_frame():
    assert REACH < 16
    corners = torch.cartesian_prod(
        torch.arange(3), torch.tensor([5]), torch.arange(40), *[torch.tensor([0, 31])] * 2
    )
    for factors in torch.cat([corners, random_factors(500)]).split(512):
        images = draw(factors)
        assert images.any(dim=(1, 2)).all()
        for border in (images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]):
            assert not border.any()


def test_indices_are_those_of_dsprites():
    factors = random_factors(200)
    indices = torch.from_numpy(np.ravel_multi_index(factors.numpy().T, SIZES))
    batch = DrawnShapes()[indices]
    assert batch.factors.equal(factors)
    assert batch.factors.dtype == torch.int64
    assert batch.labels.equal(factors[:, 0])
    assert len(DrawnShapes()) == 737_280


@pytest.fixture(scope="module")
def data():
    data = Shapes(1000, test_fraction=0.2, val_fraction=0.25, num_workers=2)
    data.setup("fit")
    data.setup("test")
    return data


def test_datamodule_describes_itself_and_keeps_splits_apart(data):
    assert data.image_shape == (1, 64, 64)
    assert data.class_names == ("square", "ellipse", "heart")
    assert data.factor_names == ("shape", "scale", "orientation", "x", "y")
    assert data.factor_sizes == (3, 6, 40, 32, 32)
    assert data.num_workers == 2
    indices = {split: data._splits[split].indices for split in ("train", "val", "test")}
    assert torch.cat([*indices.values()]).sort().values.equal(torch.arange(737_280))
    assert len(indices["test"]) / 737_280 == pytest.approx(0.2, abs=0.002)
    assert len(indices["val"]) / len(indices["train"]) == pytest.approx(1 / 3, abs=0.005)
    # Of images that look alike (see the test below), all are in the same split.
    alike = [{*look_alike(positions).tolist()} for positions in indices.values()]
    assert sum(map(len, alike)) == len(set.union(*alike)) == 737_280 * 7 // 12


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_first_images_of_every_split_are_a_fair_sample(data, split):
    batch = next(iter(data.in_order(split)))
    assert batch.images.dtype == torch.uint8
    assert batch.images.shape == (1000, 1, SIZE, SIZE)
    assert batch.images.unique().tolist() == [0, 255]
    for column, size in zip(batch.factors.T, data.factor_sizes, strict=True):
        counts = column.bincount(minlength=size)
        assert (counts > 0).all()
        assert counts.max() < 2.5 * 1000 / size


@pytest.mark.parametrize(("shape", "period"), [(SQUARE, 10), (ELLIPSE, 20), (HEART, 40)])
def test_what_looks_alike_is_of_one_group_and_drawn_the_same(shape, period):
    turned = torch.tensor([[shape, 3, k, 10, 20] for k in range(40)])
    groups = look_alike(index_of(turned))
    assert len(groups.unique()) == period
    images = draw(turned)
    same = (images[:, None] == images[None]).flatten(2).all(dim=2)
    assert same.equal(groups[:, None] == groups[None])


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1])
def test_test_fraction_out_of_range(fraction):
    assert_refused(r"data\.test_fraction", Shapes, test_fraction=fraction)
