import pytest
import torch
from jaxtyping import TypeCheckError

from lightning_gen.contracts import Decodes, Encodes, require
from lightning_gen.errors import UserError
from lightning_gen.objectives import Bernoulli


class Encoder:
    def encode(self, images):
        return images.flatten(1)


def test_annotations_are_checked_while_the_tests_run():
    with pytest.raises(TypeCheckError):
        Bernoulli().log_prob(torch.zeros(2, 1, 4, 4), torch.zeros(2, 16))


def test_require_passes_a_capable_model():
    require(Encoder(), Encodes, "LatentScatter")


def test_require_names_the_asker_and_the_model():
    message = "LatentScatter needs a model that decodes, and Encoder does not"
    with pytest.raises(UserError, match=message):
        require(Encoder(), Decodes, "LatentScatter")
