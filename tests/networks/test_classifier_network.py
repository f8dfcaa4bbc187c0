"""The classifier's network, and the shifts and flips that it trains on."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lightning_gen.errors import UserError
from lightning_gen.networks.classifier import ConvClassifier, flipped, shifted


def all_shifts(image, reach):
    """The image moved by each offset, cut one at a time out of its padded self."""
    _, height, width = image.shape
    padded = F.pad(image, (reach,) * 4)
    offsets = range(2 * reach + 1)
    return torch.stack([padded[:, y : y + height, x : x + width] for y in offsets for x in offsets])


def offsets_of(images, moved, reach):
    """The number of the offset by which each image was moved; it must be exactly one."""
    numbers = []
    for image, result in zip(images, moved, strict=True):
        fits = (all_shifts(image, reach) == result).flatten(1).all(dim=1)
        assert fits.sum() == 1
        numbers.append(fits.int().argmax().item())
    return numbers


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 7, 10), (2, 9, 5)])
@pytest.mark.parametrize("reach", [1, 2])
def test_each_image_is_shifted_whole_by_an_offset_of_its_own(shape, reach):
    images = torch.rand(400, *shape)
    numbers = offsets_of(images, shifted(images, reach), reach)
    assert set(numbers) == set(range((2 * reach + 1) ** 2))


def test_every_offset_is_as_likely():
    images = torch.rand(1, 1, 4, 4).expand(9000, -1, -1, -1)
    moved = shifted(images, 1)
    counts = [(moved == kind).flatten(1).all(dim=1).sum() for kind in all_shifts(images[0], 1)]
    assert sum(counts) == 9000
    assert all(850 < count < 1150 for count in counts)  # 1000, and 5 standard deviations


def test_zeros_come_in():
    moved = shifted(torch.ones(200, 1, 6, 6), 2)
    kept = moved.sum(dim=(1, 2, 3))
    assert set(moved.unique().tolist()) == {0.0, 1.0}
    assert set(kept.tolist()) == {rows * columns for rows in (4, 5, 6) for columns in (4, 5, 6)}


def test_without_reach_nothing_moves():
    images = torch.rand(5, 3, 7, 4)
    assert torch.equal(shifted(images, 0), images)


def test_a_reach_beyond_the_image_can_empty_it():
    images = torch.ones(500, 1, 2, 3)
    moved = shifted(images, 4)
    assert moved.shape == images.shape
    assert (moved.sum(dim=(1, 2, 3)) == 0).any()


def test_half_of_the_images_are_mirrored_left_to_right():
    images = torch.rand(1000, 3, 4, 5)
    results = flipped(images)
    mirrors = torch.from_numpy(images.numpy()[..., ::-1].copy())
    same = (results == images).flatten(1).all(dim=1)
    mirrored = (results == mirrors).flatten(1).all(dim=1)
    assert torch.equal(same, ~mirrored)
    assert 420 < mirrored.sum() < 580


@given(
    image_shape=st.tuples(st.integers(1, 3), st.integers(1, 33), st.integers(1, 33)),
    widths=st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple),
    num_classes=st.integers(2, 5),
)
def test_any_size_gives_features_and_logits(image_shape, widths, num_classes):
    network = ConvClassifier(image_shape, num_classes, widths)
    images = torch.rand(3, *image_shape)
    logits = network(images)
    logits.square().sum().backward()
    assert network.features(images).shape == (3, widths[-1])
    assert network.head.in_features == widths[-1]
    assert logits.shape == (3, num_classes)
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


def test_features_are_the_means_of_the_last_maps():
    network = ConvClassifier((1, 12, 8), 2, (3, 5)).eval()
    images = torch.rand(4, 1, 12, 8)
    *convolutions, _, _ = network.features
    maps = torch.nn.Sequential(*convolutions)(images)
    assert maps.shape == (4, 5, 6, 4)
    torch.testing.assert_close(network.features(images), maps.mean(dim=(2, 3)))


@pytest.mark.parametrize("widths", [(), (8, 0), (-1,)])
def test_widths_that_are_no_layers_are_refused(widths):
    with pytest.raises(UserError, match=r"ConvClassifier\.widths lists one positive number"):
        ConvClassifier((1, 8, 8), 2, widths)
