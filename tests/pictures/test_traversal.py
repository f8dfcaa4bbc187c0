import pytest
import torch
from torch.distributions import Normal, kl_divergence

from lightning_gen.pictures import NothingToDrawError, Seen, Traversal
from lightning_gen.pictures.codes import LabelledCodes, codes_of, unlabelled
from lightning_gen.pictures.traversal import Ranked, rank, traversal, typical
from support.linear import Linear, WithPosterior, WithPrior, batch_of
from support.refusals import assert_refused


def labelled(codes, kl=None):
    nothing = torch.empty(len(codes), 0)
    labels = torch.zeros(len(codes), dtype=torch.int64)
    return LabelledCodes(codes, labels, nothing, nothing if kl is None else kl)


def test_dimensions_stand_in_the_order_of_their_kl():
    model = WithPosterior(4)
    codes = codes_of(model, batch_of([0] * 5))
    mean, log_var = torch.arange(4.0), -torch.arange(4.0)
    prior = Normal(torch.zeros(4), torch.ones(4))
    expected = kl_divergence(Normal(mean, (log_var / 2).exp()), prior)
    torch.testing.assert_close(codes.kl, expected.expand(5, 4))
    ranked = rank(model, codes, 3)
    assert [dimension for dimension, _ in ranked] == [3, 2, 1]
    assert [label for _, label in ranked] == [f"z{j}  {expected[j]:.2f} nats" for j in (3, 2, 1)]


def test_without_a_posterior_they_stand_in_the_order_of_their_spread():
    codes = torch.randn(200, 3) * torch.tensor([0.1, 5.0, 1.0]) + 100
    ranked = rank(Linear(3), labelled(codes), 10)
    deviations = codes.numpy().std(axis=0)
    assert ranked == [Ranked(j, f"z{j}  {deviations[j]:.2f} sd") for j in (1, 2, 0)]


def test_a_condition_has_no_rank():
    codes = torch.cat([torch.randn(50, 2), 9 * torch.randn(50, 3)], dim=1)
    assert {j for j, _ in rank(WithPrior(5, 2), labelled(codes), 10)} == {0, 1}


def test_one_code_is_changed_along_standard_deviations_of_the_prior():
    model, origin = WithPrior(4), torch.randn(1, 4)
    spread = labelled(50 * torch.randn(20, 4))
    view = traversal(model, origin, spread, [Ranked(2, "z2"), Ranked(0, "z0")], 3, 2.0)
    assert view.columns == ("-2", "0", "2")
    assert list(view.rows) == ["z2", "z0"]
    for dimension, row in zip((2, 0), view.rows.values(), strict=True):
        codes = origin.repeat(3, 1)
        codes[:, dimension] = torch.tensor([-2.0, 0, 2])
        torch.testing.assert_close(row, model.decode(codes))
    assert "from -2 to 2, standard deviations of the prior" in view.title


def test_without_a_prior_the_range_is_that_of_the_codes():
    model, codes = Linear(3), torch.randn(40, 3) * torch.tensor([1.0, 10, 100]) + 5
    view = traversal(model, codes[:1], labelled(codes), [Ranked(1, "z1")], 3, 1.5)
    mean, deviation = codes[:, 1].numpy().mean().item(), codes[:, 1].numpy().std().item()
    expected = codes[:1].repeat(3, 1)
    expected[:, 1] = torch.tensor([mean - 1.5 * deviation, mean, mean + 1.5 * deviation])
    torch.testing.assert_close(view.rows["z1"], model.decode(expected))
    assert "standard deviations of its codes around their mean" in view.title


def test_a_single_code_has_no_spread():
    model, codes = Linear(3), torch.randn(1, 3)
    view = traversal(model, codes, labelled(codes), rank(model, labelled(codes), 3), 3, 3.0)
    assert all(row.isfinite().all() for row in view.rows.values())


@pytest.mark.parametrize("span", [0.0, -1.0, 1e300, float("inf"), float("nan")])
def test_a_range_without_extent_is_refused(span):
    assert_refused(r"Traversal\.span is above 0, at most 100", Traversal, span=span)


def test_chosen_dimensions_of_a_model_and_no_others():
    model, codes = WithPrior(5, latent_dim=4), unlabelled(torch.randn(30, 5))
    view = Traversal(dimensions=(3, 0), steps=3).draw(model, Seen(codes=codes))
    assert list(view.rows) == ["z3", "z0"]
    other = Traversal(dimensions=(4,))
    match = "dimensions are from 0 to 3 in this model, got 4"
    assert_refused(match, other.draw, model, Seen(codes=codes))


def test_of_a_wide_feature_map_only_chosen_dimensions_are_drawn():
    class Wide(Linear):
        def decode(self, codes):
            return codes[:, :6].view(-1, 1, 2, 3)

    seen = Seen(codes=unlabelled(torch.randn(20, 1001)))
    with pytest.raises(NothingToDrawError, match="one of 1,001 dimensions"):
        Traversal().draw(Wide(), seen)
    assert list(Traversal(dimensions=[7]).draw(Wide(), seen).rows) == ["z7"]


def test_the_typical_code_is_of_middle_brightness():
    model = Linear(6)
    images = torch.tensor([0.9, 0.0, 0.5, 0.1, 1.0])[:, None, None, None].expand(5, 1, 2, 3)
    codes = model.encode(images)
    assert torch.equal(typical(model, codes), codes[2:3])
    assert torch.equal(typical(model, codes[1:2]), codes[1:2])
