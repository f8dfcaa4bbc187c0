"""Configurations are compared in one form, whoever wrote them."""

from torch import nn

from lightning_gen.training.same_model import canonical, differences


class Net:
    """A part with a default that no file can hold."""

    def __init__(self, width: int = 3, activation: nn.Module = nn.ReLU()):  # noqa: B008
        self.width, self.activation = width, activation


def test_names_and_defaults_make_no_difference():
    short = {"class_path": "torch.optim.Adam"}
    assert canonical("torch.optim.adam.Adam") == canonical(short)
    named = {"class_path": f"{__name__}.Net", "init_args": {}}
    assert canonical(named)["init_args"] == {"width": 3}
    assert list(differences({"a": {}}, {"a": None})) == []
    other = canonical(named | {"init_args": {"width": 4}})
    assert list(differences(canonical(named), other)) == [("width", 3, 4)]


def test_what_is_no_configuration_stays_as_it_is():
    for value in (4.0, "a.b", None, [1, {"x": "y"}], {"class_path": "no.Such", "init_args": 4.0}):
        assert canonical(value) == value
