import pytest
import torch

from lightning_gen.errors import UserError
from lightning_gen.views import interpolation
from support.linear import Linear, batch_of


@pytest.fixture
def pairs():
    model = Linear()
    images = batch_of([0] * 6).images
    return model, images[:3], images[3:]


def test_the_ends_are_the_codes_of_the_images_and_the_middle_their_mean(pairs):
    model, first, last = pairs
    view = interpolation(model, model.encode(first), model.encode(last), steps=5)
    ends = model.decode(model.encode(first)), model.decode(model.encode(last))
    for number, row in enumerate(view.rows.values()):
        torch.testing.assert_close(row[0], ends[0][number])
        torch.testing.assert_close(row[-1], ends[1][number])
        torch.testing.assert_close(row[2], (ends[0][number] + ends[1][number]) / 2)
    assert view.columns == ("0", "0.25", "0.5", "0.75", "1")
    assert len(view.rows) == 3
    assert "linear" in view.title


def test_the_images_stand_at_both_sides(pairs):
    model, first, last = pairs
    codes = model.encode(first), model.encode(last)
    plain = interpolation(model, *codes, steps=3)
    view = interpolation(model, *codes, steps=3, originals=(first, last))
    assert view.columns == ("image", *plain.columns, "image")
    for number, (row, decoded) in enumerate(
        zip(view.rows.values(), plain.rows.values(), strict=True)
    ):
        assert torch.equal(row[0], first[number])
        assert torch.equal(row[-1], last[number])
        assert torch.equal(row[1:-1], decoded)


def test_rows_of_the_same_name_are_all_kept(pairs):
    model, first, last = pairs
    codes = model.encode(first), model.encode(last)
    named = interpolation(model, *codes, names=["a to b", "c to d", "a to b"])
    assert list(named.rows) == ["a to b", "c to d", "a to b 2"]
    assert len(interpolation(model, *codes, names=["a", "a", "a 2"]).rows) == 3
    assert len(interpolation(model, *codes).rows) == 3


def test_one_step_is_refused(pairs):
    model, first, last = pairs
    with pytest.raises(UserError, match="at least 2, got 1"):
        interpolation(model, model.encode(first), model.encode(last), steps=1)
