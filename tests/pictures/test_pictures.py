import pytest
import torch

from lightning_gen.models import CVAE
from lightning_gen.pictures import (
    Arithmetic,
    ConditionalSamples,
    Denoising,
    Interpolation,
    LatentScatter,
    Names,
    NothingToDrawError,
    Reconstructions,
    Samples,
    Seen,
)
from lightning_gen.pictures.arithmetic import check_terms, default_terms
from lightning_gen.pictures.codes import LabelledCodes, codes_of, unlabelled
from support.linear import Linear, WithPrior, batch_of
from support.models import batch_of as images_of
from support.models import tiny
from support.refusals import assert_refused

CLASSES = ("boot", "shirt", "bag")
ATTRIBUTES = ("Smiling", "Male")
NAMES = Names(CLASSES, ATTRIBUTES)
LABELS = [0, 1, 2, 0, 1, 2]
FACTORS = [[1, 0], [0, 0], [2, 1], [0, 1], [0, 0], [1, 1]]


@pytest.fixture
def known():
    model = Linear(3)
    return model, codes_of(model, batch_of(LABELS, FACTORS))


def check(known, terms, *rows):
    model, codes = known
    view = Arithmetic(terms=terms).draw(model, Seen("images", None, codes, NAMES))
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
    assert_refused("no image of 'shirt' among 6", check, (model, codes), ("boot", "shirt", "bag"))


@pytest.mark.parametrize(
    ("name", "near"), [("boots", "boot"), ("smiling", "Smiling"), ("!male", "!Male")]
)
def test_an_unknown_name_gives_near_ones(known, name, near):
    picture = Arithmetic(terms=("boot", name, "bag"))
    assert_refused(rf"got '{name}'. Did you mean .*{near}\b", picture.check, known[0], NAMES)


def test_a_name_unlike_all_gives_the_known_ones():
    match = "got 'xyz'. Did you mean boot or shirt or bag"
    assert_refused(match, check_terms, ["xyz"], Names(CLASSES))


def test_a_class_has_no_opposite():
    assert_refused("got '!boot'", check_terms, ["!boot"], NAMES)


def test_default_terms_are_those_that_say_something():
    """A digit less another plus a third says nothing, and what is not there neither."""

    def terms(labels, class_names, factors=(), factor_names=()):
        nothing = torch.empty(len(labels), 0)
        columns = torch.tensor(factors).float() if factors else nothing
        codes = LabelledCodes(nothing, torch.tensor(labels), columns, nothing)
        return default_terms(codes, Names(class_names, factor_names))

    assert terms(range(10), [str(digit) for digit in range(10)]) is None
    assert terms([0, 0], []) is None
    names = ["Male", "Bald", "Smiling"]
    assert terms([0, 0], [], [[1, 0, 1], [0, 0, 0]], names) == ("Smiling", "!Smiling", "Male")
    assert terms([0, 0], [], [[1, 0, 1], [0, 0, 1]], names) is None  # all smile
    known = ["T-shirt/top", "Trouser", "Pullover", "Dress"]
    assert terms([0, 2, 3], known) == ("Pullover", "T-shirt/top", "Dress")
    assert terms([0, 1, 2], known) is None


def test_images_alone_have_no_sum(known):
    for codes in (None, known[1]):
        with pytest.raises(NothingToDrawError):
            Arithmetic().draw(known[0], Seen("images", None, codes, Names(CLASSES, ATTRIBUTES[1:])))


def walk(model, labels, path="linear", steps=5, **known):
    batch = batch_of(labels)
    picture = Interpolation(num_pairs=len(labels) // 2, steps=steps, path=path)
    return batch.images, picture.draw(model, Seen("test images", batch, **known))


def test_the_ends_are_the_codes_of_the_images_and_the_middle_their_mean():
    """The images themselves stand at both sides."""
    model = Linear()
    images, view = walk(model, [0] * 6)
    decoded = model.decode(model.encode(images))
    for number, row in enumerate(view.rows.values()):
        first, last = 2 * number, 2 * number + 1
        torch.testing.assert_close(row[[0, -1]], images[[first, last]])
        torch.testing.assert_close(row[[1, -2]], decoded[[first, last]])
        torch.testing.assert_close(row[3], decoded[[first, last]].mean(dim=0))
    assert view.columns == ("image", "0", "0.25", "0.5", "0.75", "1", "image")
    assert view.title == "Interpolation, linear, between test images"


def test_rows_are_called_after_what_is_known_of_the_images():
    files = [*"abcdef"]
    for known, rows in (
        ({"names": NAMES, "files": files}, ["boot to shirt", "bag to boot", "boot to shirt 2"]),
        ({"files": files}, ["a to b", "c to d", "e to f"]),
        ({"files": files, "names": Names(("image",))}, ["a to b", "c to d", "e to f"]),
        ({}, ["test to test", "test to test 2", "test to test 3"]),
    ):
        assert list(walk(Linear(), [0, 1, 2, 0, 0, 1], **known)[1].rows) == rows


def test_an_image_of_no_known_class_has_its_own_name():
    seen = Seen(batch=batch_of([1, -1, 7]), names=Names(("boot", "shirt")), files=["a", "b", "c"])
    assert [seen.name_of(image) for image in range(3)] == ["shirt", "b", "c"]


def test_an_odd_image_is_left_out_and_one_alone_refused():
    batch = batch_of([0] * 3)
    assert len(Interpolation().draw(Linear(), Seen("images", batch)).rows) == 1
    alone = Seen("images", batch.first(1))
    assert_refused("at least 2 images, got 1", Interpolation().draw, Linear(), alone)


def test_codes_without_images_are_walked_between_and_beside_images_left_alone():
    model, batch = Linear(), batch_of([0] * 4)
    codes = unlabelled(torch.randn(3, 2))
    rows = Interpolation(steps=3).draw(model, Seen("photos", codes=codes)).rows
    first, last, _ = codes.codes
    expected = model.decode(torch.stack([first, (first + last) / 2, last]))
    torch.testing.assert_close(rows["pair"], expected)
    view = Interpolation(steps=3).draw(model, Seen("images", batch, codes))
    assert view.columns[0] == "image"


def test_a_model_without_an_encoder_is_shown_between_draws_of_its_prior():
    class Generator:
        latent_dim = 2

        def sample_codes(self, n):
            return torch.randn(n, 2)

        def decode(self, codes):
            return codes.view(-1, 1, 1, 2)

    torch.manual_seed(0)
    view = Interpolation(num_pairs=2, steps=3).draw(Generator(), Seen())
    torch.manual_seed(0)
    start, end = torch.randn(4, 2).view(2, 2, 2).unbind(1)
    expected = torch.stack([start, (start + end) / 2, end], dim=1)
    assert list(view.rows) == ["pair", "pair 2"]
    torch.testing.assert_close(torch.stack([*view.rows.values()]).flatten(2), expected)
    assert "spherical" in Interpolation(2, path="spherical").draw(Generator(), Seen()).title


@torch.no_grad()
def test_a_model_with_an_encoder_walks_between_draws_where_it_is_asked_to():
    picture, model = Interpolation(num_pairs=2, steps=3, of_draws=True), tiny().eval()
    assert picture.looks_at == 0
    torch.manual_seed(0)
    rows = picture.draw(model, Seen()).rows
    torch.manual_seed(0)
    codes = model.sample_codes(4)
    torch.testing.assert_close(rows["pair 2"][[0, 2]], model.decode(codes[2:]))
    assert_refused(
        "a walk between draws needs a model that samples codes", picture.draw, Linear(), Seen()
    )


@torch.no_grad()
def test_samples_are_those_of_their_seed():
    model = tiny().eval()
    view = Samples(num_images=5, seed=7).draw(model, Seen())
    torch.manual_seed(7)
    assert torch.equal(view.rows[""], model.sample(5))


@torch.no_grad()
@pytest.mark.parametrize("max_rows", [3, 20])
def test_one_row_a_class_and_one_noise_a_column(max_rows):
    model = tiny(CVAE, class_names=tuple("abcdefghij")).eval()
    view = ConditionalSamples(num_images=4, max_rows=max_rows, seed=5).draw(model, Seen())
    torch.manual_seed(5)
    noise = torch.randn(4, 4)
    assert list(view.rows) == list("abcdefghij")[:max_rows]
    for label, row in enumerate(view.rows.values()):
        codes = torch.cat([noise, torch.eye(10)[[label] * 4]], dim=1)
        torch.testing.assert_close(row, model.decode(codes))


class Half:
    def corrupt(self, images):
        return 0 * images

    def reconstruct(self, images):
        return images / 2 + 0.25


def test_images_stand_over_what_is_made_of_them():
    batch = batch_of([0] * 3)
    view = Reconstructions().draw(Half(), Seen("test images", batch))
    torch.testing.assert_close([*view.rows.values()], [batch.images, batch.images / 2 + 0.25])
    view = Denoising().draw(Half(), Seen("test images", batch))
    black = 0 * batch.images
    torch.testing.assert_close([*view.rows.values()], [black, black + 0.25, batch.images])
    assert list(view.rows) == ["noisy", "denoised", "clean"]
    with pytest.raises(NothingToDrawError):
        Reconstructions().draw(Half(), Seen())


def test_a_scatter_says_of_how_many_images_it_is():
    model = WithPrior(5, latent_dim=2)
    codes = codes_of(model, batch_of(LABELS))
    for complete, number in ((True, "6"), (False, "the first 6")):
        seen = Seen("test images", None, codes, NAMES, complete=complete, when="at step 9")
        [axes] = LatentScatter().draw(model, seen).axes
        assert axes.get_title(loc="left") == f"Codes of {number} test images at step 9"
        points = torch.cat([torch.tensor(p.get_offsets().data) for p in axes.collections])
        assert {*map(tuple, points.float().tolist())} == {*map(tuple, codes.codes[:, :2].tolist())}


@torch.no_grad()
def test_a_conditional_model_is_told_the_class_of_each_image():
    model = tiny(CVAE, class_names=tuple("abcdefghij")).eval()
    batch = images_of(torch.rand(12, 1, 28, 28))
    codes = codes_of(model, batch)
    assert torch.equal(codes.codes[:, 4:], torch.eye(10)[batch.labels])
    posterior = model.condition_on(batch).posterior(batch.images)
    torch.testing.assert_close(codes.codes[:, :4], posterior.mean)
    prior = torch.distributions.Normal(0.0, 1.0)
    own = torch.distributions.Normal(posterior.mean, (posterior.log_var / 2).exp())
    torch.testing.assert_close(codes.kl, torch.distributions.kl_divergence(own, prior))
