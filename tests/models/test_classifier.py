from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch.optim import Adam

from lightning_gen.data import MiniFashionMNIST
from lightning_gen.models import Classifier
from support.models import batch_of, terms_of, trainer_of
from support.refusals import assert_refused

SHAPE = (1, 10, 8)
small = partial(Classifier, SHAPE, 10, (4, 6))


@pytest.fixture
def seen(monkeypatch):
    """The images that each call of a classifier's terms was given, the altered ones second."""
    calls = []
    terms = Classifier.terms

    def recorded(model, batch, inputs, training_step=None):
        calls.append((batch.images, inputs))
        return terms(model, batch, inputs, training_step)

    monkeypatch.setattr(Classifier, "terms", recorded)
    return calls


@pytest.mark.slow
def test_it_learns_fashion_mnist_in_seconds():
    data, learns = MiniFashionMNIST(batch_size=128), partial(Adam, lr=3e-3)
    model = Classifier(data.image_shape, 10, (16, 32, 64, 64), optimizer=learns)
    trainer = trainer_of(limit_train_batches=60, limit_val_batches=0, limit_test_batches=4)
    trainer.fit(model, data)
    (results,) = trainer.test(model, data, verbose=False)
    assert results["test/accuracy"] > 0.6
    assert results["test/loss"] < 1.2


class TestTerms:
    images = torch.rand(20, *SHAPE)

    @pytest.mark.parametrize("right", [0, 3, 20])
    def test_accuracy_is_the_share_of_right_answers(self, right):
        model = small().eval()
        answers = model.network(self.images).argmax(dim=1)
        labels = (answers + (torch.arange(20) >= right)) % 10
        terms = model.terms(batch_of(self.images)._replace(labels=labels), self.images)
        assert terms["accuracy"].item() == pytest.approx(right / 20)

    def test_loss_is_the_mean_cross_entropy_of_the_inputs_and_not_of_the_clean_images(self):
        model = small().eval()
        inputs = self.images.flip(3)
        terms = model.terms(batch_of(self.images), inputs)
        expected = F.cross_entropy(model.network(inputs), batch_of(self.images).labels)
        assert torch.equal(terms["loss"], expected)
        assert not torch.equal(terms["loss"], terms_of(model, self.images)["loss"])

    def test_the_loss_is_float32_from_bfloat16_logits(self):
        terms = terms_of(small().bfloat16(), self.images.bfloat16())
        assert {term.dtype for term in terms.values()} == {torch.float32}


class TestAlteration:
    data = partial(MiniFashionMNIST, batch_size=50)

    @pytest.mark.parametrize(("shift", "flip"), [(0, False), (1, False), (0, True)])
    def test_training_shifts_and_flips_as_asked(self, shift, flip, seen):
        model = Classifier((1, 28, 28), 10, (4,), shift=shift, flip=flip)
        trainer_of(limit_train_batches=1, limit_val_batches=0).fit(model, self.data())
        ((clean, inputs),) = seen
        altered = (inputs != clean).flatten(1).any(dim=1)
        mirrored = (inputs == clean.flip(3)).flatten(1).all(dim=1)
        assert altered.any() == bool(shift or flip)
        assert mirrored.any() == flip
        assert torch.equal(altered, mirrored) or not flip

    def test_evaluation_sees_the_images_as_they_are(self, seen):
        model = Classifier((1, 28, 28), 10, (4,), shift=2, flip=True)
        trainer = trainer_of(limit_val_batches=2, limit_test_batches=2)
        losses = []
        for seed in (1, 2):
            torch.manual_seed(seed)
            (validated,) = trainer.validate(model, self.data(), verbose=False)
            (tested,) = trainer.test(model, self.data(), verbose=False)
            losses.append((validated["val/loss"], tested["test/loss"]))
        assert losses[0] == losses[1]
        assert len(seen) == 8
        assert all(torch.equal(clean, inputs) for clean, inputs in seen)


def test_codes_are_what_the_last_layer_sees():
    model = small().eval()
    images = torch.rand(5, *SHAPE)
    codes = model.encode(images)
    assert codes.shape == (5, 6)
    assert torch.equal(model.network.head(codes), model.network(images))


def test_a_single_class_and_a_negative_shift_are_refused():
    assert_refused(r"classes is at least 2, got 1\. Choose data", Classifier, SHAPE, 1)
    assert_refused(r"Classifier\.shift.* got -1\. Set", small, shift=-1)
