import inspect

import pytest
import torch
from jaxtyping import TypeCheckError
from typing_extensions import get_protocol_members, is_protocol

from lightning_gen import contracts
from lightning_gen.contracts import Decodes, Encodes, SamplesCodes, able, require
from lightning_gen.errors import UserError
from lightning_gen.objectives import Bernoulli
from support.models import KINDS, build

CAPABILITIES = [each for each in vars(contracts).values() if is_protocol(each)]


class Encoder:
    def encode(self, images):
        return images.flatten(1)


def test_annotations_are_checked_while_the_tests_run():
    with pytest.raises(TypeCheckError):
        Bernoulli().log_prob(torch.zeros(2, 1, 4, 4), torch.zeros(2, 16))


NEEDS = (Encodes, Decodes | SamplesCodes)


def test_require_passes_a_capable_model():
    require(Encoder(), (Encodes, Encodes | Decodes), "LatentScatter", "")


def test_require_names_the_asker_the_model_and_the_remedy():
    message = (
        "LatentScatter needs a model that decodes or samples codes, and Encoder does not. Go home."
    )
    with pytest.raises(UserError, match=message):
        require(Encoder(), NEEDS, "LatentScatter", "Go home.")


def test_able_asks_for_all():
    assert able(Encoder(), (Encodes, Encodes | Decodes))
    assert not able(Encoder(), NEEDS)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_model_is_able_to_do_is_seen_without_asking_it(kind):
    """As Python 3.12's isinstance looks, which finds no submodules and asks no __getattr__."""
    model, nothing = build(kind), object()
    assert len(CAPABILITIES) > 10
    for capability in CAPABILITIES:
        members = get_protocol_members(capability)
        seen = all(inspect.getattr_static(model, m, nothing) is not nothing for m in members)
        assert seen == all(hasattr(model, member) for member in members), capability
        assert seen == isinstance(model, capability)
