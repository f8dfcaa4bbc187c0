import numpy as np
import pytest
import torch

from lightning_gen.figures.grid import (
    GAP,
    LEAST_SIDE,
    MARGIN,
    MAX_WIDTH,
    PAPER,
    enlarged,
    image_grid,
    image_rows,
    signed,
)
from lightning_gen.figures.style import font


@pytest.mark.parametrize(("side", "factor"), [(28, 3), (32, 3), (64, 2), (80, 1), (128, 1)])
def test_small_images_are_enlarged_by_a_whole_factor(side, factor):
    images = torch.rand(1, 1, side, side)
    expected = np.kron(images[0, 0].numpy(), np.ones((factor, factor)))
    tile = enlarged(images)[0]
    assert max(tile.shape) >= LEAST_SIDE
    for channel in range(3):
        np.testing.assert_allclose(tile[..., channel] / 255, expected, atol=0.5 / 255)


def test_colours_stay_and_values_are_cut_to_the_range_and_other_channels_are_their_mean():
    images = torch.tensor([1.5, -1.0, 0.5]).view(1, 3, 1, 1).expand(1, 3, 80, 80)
    assert (enlarged(images) == [255, 0, 128]).all()
    two_channels = torch.tensor([0.0, 1.0]).view(1, 2, 1, 1).expand(1, 2, 80, 80)
    assert (enlarged(two_channels) == 128).all()


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 28, 28), (3, 64, 40), (3, 20, 130)])
@pytest.mark.parametrize("count", [1, 7, 40])
def test_images_of_any_shape_fit_on_the_page(count, shape):
    images = torch.rand(count, *shape)
    rows = image_rows({"original": images, "reconstruction": 1 - images}, "title")
    assert rows.shape[1] < MAX_WIDTH + 300
    for picture in (rows, image_grid(images, "title")):
        assert (picture[:, -MARGIN:] == PAPER).all()
        assert (picture[-MARGIN:] == PAPER).all()


def test_rows_and_columns_show_the_images_in_order():
    images, others = torch.rand(2, 5, 3, 40, 30)
    picture = image_rows({"a": images, "b": others}, "title")
    height, width = 80, 60
    for row, expected in enumerate((others, images)):
        for column, tile in enumerate(enlarged(expected.flip(0))):
            bottom = picture.shape[0] - MARGIN - row * (height + GAP)
            right = picture.shape[1] - MARGIN - column * (width + GAP)
            assert (picture[bottom - height : bottom, right - width : right] == tile).all()


def test_a_label_stands_left_of_its_row():
    images = torch.zeros(2, 1, 28, 28)
    plain = image_rows({"": images}, "title")
    labelled = image_rows({"label": images}, "title")
    left = labelled.shape[1] - plain.shape[1]
    row = slice(-MARGIN - 84, -MARGIN)
    assert (labelled[row, MARGIN : MARGIN + left] < 100).any(), "no ink"
    assert (labelled[row, left + MARGIN :] == plain[row, MARGIN:]).all()


def test_a_title_is_no_wider_than_the_page():
    row = {"a": torch.zeros(8, 1, 28, 28)}
    short, long = image_rows(row, "title"), image_rows(row, "a title of many words " * 12)
    assert long.shape[1] == short.shape[1]
    assert long.shape[0] > short.shape[0] + 20
    np.testing.assert_array_equal(long[-90:], short[-90:])


def test_long_rows_are_broken_into_equal_lines():
    shown = image_rows({"a": torch.zeros(16, 1, 28, 28), "b": torch.ones(16, 1, 28, 28)}, "title")
    black = (shown[-MARGIN - 2 * 84 - GAP] == 0).all(axis=-1)
    assert black.sum() == 8 * 84


def test_a_square_leaves_missing_places_empty():
    picture = image_grid(torch.zeros(5, 1, 28, 28), "title")
    assert (picture[-MARGIN - 84 : -MARGIN, -MARGIN - 84 : -MARGIN] == PAPER).all()
    assert (picture[-MARGIN - 84 : -MARGIN, MARGIN : MARGIN + 84] == 0).all()


def test_headings_stand_above_their_columns():
    images = {"a": torch.zeros(3, 1, 28, 28), "b": torch.ones(3, 1, 28, 28)}
    plain = image_rows(images, "t", columns=["", "", ""])
    headed = image_rows(images, "t", columns=["", "heading", ""])
    bottom = -MARGIN - 2 * 84 - GAP
    np.testing.assert_array_equal(headed[bottom:], plain[bottom:])
    left = headed.shape[1] - MARGIN - 3 * 84 - 2 * GAP
    above = headed[bottom - 13 : bottom, left:]
    ink = (above < 150).any(axis=(0, 2)).nonzero()[0]
    assert 84 + GAP < ink.min() < ink.max() < 2 * 84 + GAP
    assert abs((ink.min() + ink.max()) / 2 - (84 + GAP + 42)) < 3


def test_rows_with_headings_are_not_broken():
    columns = [str(number) for number in range(20)]
    shown = image_rows({"a": torch.zeros(20, 1, 28, 28)}, "title", columns)
    black = (shown[-MARGIN - 2] == 0).all(axis=-1)
    assert black.sum() == 20 * 84
    assert shown.shape[0] < 2 * 84


def test_a_long_heading_is_broken_between_words():
    images = {"": torch.zeros(2, 1, 28, 28)}
    short = image_rows(images, "title", ["Ankle", "Bag"])
    long = image_rows(images, "title", ["Ankle boots of last winter", "Bag"])
    assert long.shape[0] > short.shape[0]
    assert long.shape[1] == short.shape[1]
    bottom = -MARGIN - 84
    ink = (long[bottom - 40 : bottom] < 150).any(axis=(0, 2)).nonzero()[0]
    assert MARGIN - 8 < ink.min() < ink.max() < MARGIN + 2 * 84


def test_no_gap_is_seamless():
    rows = {"1": torch.zeros(4, 1, 28, 28), "0": torch.zeros(4, 1, 28, 28)}
    picture = image_rows(rows, "title", columns=list("abcd"), gap=0)
    right, bottom = picture.shape[1] - MARGIN, picture.shape[0] - MARGIN
    assert (picture[bottom - 2 * 84 : bottom, right - 4 * 84 : right] == 0).all()
    assert (picture[bottom:] == PAPER).all()
    assert (picture[:, right:] == PAPER).all()


def test_names_of_other_languages_and_minus_signs_have_their_letters():
    missing = font(13).getmask("\U0010ffff")
    for letter in "äéñжλ\u2212":
        assert bytes(font(13).getmask(letter)) != bytes(missing)
    assert signed("-1.5 to -3, T-shirt, 2-3") == "\u22121.5 to \u22123, T-shirt, 2-3"
