import pytest
import torch

from lightning_gen.errors import UserError
from lightning_gen.views import LabelledCodes, arithmetic, check_terms, default_terms, encode
from support.linear import Linear, batch_of

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
