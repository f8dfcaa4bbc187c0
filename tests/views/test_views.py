"""Codes of images, their sums, and ways from one image to another, decoded."""

import pytest
import torch

from lightning_gen.errors import UserError
from lightning_gen.models import CVAE
from lightning_gen.views.arithmetic import arithmetic, check_terms, default_terms
from lightning_gen.views.codes import (
    LabelledCodes,
    encode,
    free_dimensions,
    join,
    without_condition,
)
from lightning_gen.views.view import interpolation
from support.linear import Linear, WithPrior, batch_of
from support.models import batch_of as images_of
from support.models import tiny

CLASSES = ("boot", "shirt", "bag")
ATTRIBUTES = ("Smiling", "Male")
CPU = torch.device("cpu")
LABELS = [0, 1, 2, 0, 1, 2]
FACTORS = [[1, 0], [0, 0], [2, 1], [0, 1], [0, 0], [1, 1]]


@pytest.fixture
def known():
    model = Linear(3)
    return model, encode(model, batch_of(LABELS, FACTORS))


def check(known, terms, *rows):
    """The images are decoded means of these rows, and of their sum."""
    model, codes = known
    view = arithmetic(model, codes, terms, CLASSES, ATTRIBUTES, CPU)
    a, b, c = (codes.codes[list(numbers)].mean(dim=0) for numbers in rows)
    expected = model.decode(torch.stack([a, b, c, a - b + c]))
    torch.testing.assert_close(view.rows[""], expected)
    assert view.columns == (terms[0], f"- {terms[1]}", f"+ {terms[2]}", "= sum")
    assert f"means of {', '.join(str(len(numbers)) for numbers in rows)} codes" in view.title
    return view


def test_classes(known):
    view = check(known, ("bag", "boot", "shirt"), (2, 5), (0, 3), (1, 4))
    assert view.title.startswith("bag - boot + shirt")


def test_attributes_and_what_is_without_them(known):
    check(known, ("Smiling", "!Smiling", "Male"), (0, 2, 5), (1, 3, 4), (2, 3, 5))
    check(known, ("!Male", "Male", "boot"), (0, 1, 4), (2, 3, 5), (0, 3))


def test_a_class_without_images_is_refused(known):
    model, codes = known
    codes = codes._replace(labels=codes.labels * 0)
    with pytest.raises(UserError, match="no image of 'shirt' among 6"):
        arithmetic(model, codes, ("boot", "shirt", "bag"), CLASSES, ATTRIBUTES, CPU)


@pytest.mark.parametrize(
    ("name", "near"), [("boots", "boot"), ("smiling", "Smiling"), ("!male", "!Male")]
)
def test_an_unknown_name_gives_near_ones(known, name, near):
    with pytest.raises(UserError, match=rf"got '{name}'. Did you mean .*{near}\b"):
        arithmetic(*known, ("boot", name, "bag"), CLASSES, ATTRIBUTES, CPU)


def test_a_name_unlike_all_gives_the_known_ones():
    with pytest.raises(UserError, match=r"got 'xyz'. Did you mean boot or shirt or bag"):
        check_terms(["xyz"], CLASSES, ())


def test_a_class_has_no_opposite():
    with pytest.raises(UserError, match="got '!boot'"):
        check_terms(["!boot"], CLASSES, ATTRIBUTES)


def test_default_terms_are_those_that_say_something():
    """A digit less another plus a third says nothing, and what is not there neither."""

    def terms(labels, class_names, factors=(), factor_names=()):
        nothing = torch.empty(len(labels), 0)
        columns = torch.tensor(factors).float() if factors else nothing
        codes = LabelledCodes(nothing, torch.tensor(labels), columns, nothing)
        return default_terms(codes, class_names, factor_names)

    assert terms(range(10), [str(digit) for digit in range(10)]) is None
    assert terms([0, 0], []) is None
    names = ["Male", "Bald", "Smiling"]
    assert terms([0, 0], [], [[1, 0, 1], [0, 0, 0]], names) == ("Smiling", "!Smiling", "Male")
    assert terms([0, 0], [], [[1, 0, 1], [0, 0, 1]], names) is None  # all smile
    known = ["T-shirt/top", "Trouser", "Pullover", "Dress"]
    assert terms([0, 2, 3], known) == ("Pullover", "T-shirt/top", "Dress")
    assert terms([0, 1, 2], known) is None


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


def test_codes_come_with_the_labels_and_factors_of_their_images():
    model, batch = Linear(3), batch_of([2, 0, 1], [[1, 2], [3, 4], [5, 6]])
    codes = encode(model, batch)
    assert torch.equal(codes.codes, model.encode(batch.images))
    assert torch.equal(codes.labels, batch.labels)
    assert torch.equal(codes.factors, batch.factors)
    assert codes.kl.shape == (3, 0)


def test_batches_are_joined_in_order():
    model, batch = Linear(3), batch_of([2, 0, 1, 1, 0], [[n, -n] for n in range(5)])
    parts = [type(batch)(*(t[span] for t in batch)) for span in (slice(2), slice(2, 5))]
    joined = join([encode(model, part) for part in parts])
    for mine, whole in zip(joined, encode(model, batch), strict=True):
        torch.testing.assert_close(mine, whole)


@torch.no_grad()
def test_a_conditional_model_is_told_the_class_of_each_image():
    model = tiny(CVAE, class_names=tuple("abcdefghij")).eval()
    batch = images_of(torch.rand(12, 1, 28, 28))
    codes = encode(model, batch)
    assert torch.equal(codes.codes[:, 4:], torch.eye(10)[batch.labels])
    posterior = model.condition_on(batch).posterior(batch.images)
    torch.testing.assert_close(codes.codes[:, :4], posterior.mean)
    prior = torch.distributions.Normal(0.0, 1.0)
    own = torch.distributions.Normal(posterior.mean, (posterior.log_var / 2).exp())
    torch.testing.assert_close(codes.kl, torch.distributions.kl_divergence(own, prior))


def test_a_condition_is_not_free():
    assert free_dimensions(WithPrior(5, latent_dim=2), torch.zeros(1, 5)) == 2
    assert free_dimensions(Linear(5), torch.zeros(1, 5)) == 5


def test_the_condition_of_a_code_is_left_out():
    model = WithPrior(5, latent_dim=2)
    codes = encode(model, batch_of([0, 1] * 3))
    free = without_condition(model, codes)
    assert torch.equal(free.codes, codes.codes[:, :2])
    assert free[1:] == codes[1:]
