import pytest

from lightning_gen.quantities import Quantities, Quantity
from support.quantities import KNOWN


def test_a_column_is_found_whatever_its_stage():
    more = {"samples/diversity": Quantity(shown=True), "kl_per_dimension": Quantity("nats")}
    found = Quantities(KNOWN | more)
    assert found.of("val/kl") == found.of("kl") == KNOWN["kl"]
    assert found.of("samples/diversity").shown
    assert found.of("kl_per_dimension/03").unit == "nats"
    assert found.of("val/own") == Quantity()


def test_a_file_gives_them_back():
    assert Quantities.read(KNOWN.plain()) == KNOWN


@pytest.mark.parametrize(
    "content", [None, [], {"loss": 3}, {"loss": {"unit": ["x"]}}, {"loss": {"own": "x"}}]
)
def test_a_file_of_something_else_gives_none(content):
    assert Quantities.read(content) == {}
