"""Planes of the latent space, and one dimension a row."""

import pytest
import torch
from scipy import stats
from torch.distributions import Normal, kl_divergence

from lightning_gen.errors import UserError
from lightning_gen.latent import Plane
from lightning_gen.views.codes import LabelledCodes, encode
from lightning_gen.views.dimensions import (
    GridAxes,
    Ranked,
    grid_axes,
    latent_grid,
    rank,
    traversal,
    typical,
)
from support.linear import Linear, WithPosterior, WithPrior, batch_of


class Painter:
    """Paints a code's first number into the left pixel and its second into the right one."""

    def decode(self, codes):
        return codes[:, None, None, :2]


def painted(xs, ys, origin=(0.0, 0.0)):
    plane = Plane(torch.tensor(origin), torch.eye(2)[0], torch.eye(2)[1])
    return latent_grid(Painter(), GridAxes(plane, torch.tensor(xs), torch.tensor(ys), "meaning"))


def test_x_grows_to_the_right_and_y_upwards():
    view = painted([0.1, 0.2, 0.3], [0.5, 0.75])
    assert list(view.rows) == ["0.75", "0.50"]
    assert view.columns == ("0.10", "0.20", "0.30")
    for label, row in view.rows.items():
        torch.testing.assert_close(row[:, 0, 0, 0], torch.tensor([0.1, 0.2, 0.3]))
        torch.testing.assert_close(row[:, 0, 0, 1], torch.full((3,), float(label)))
    assert view.seamless
    assert view.title == "meaning"


@pytest.mark.parametrize("spread", [1e-3, 0.0])
def test_rows_close_to_each_other_are_all_kept(spread):
    """Codes of an autoencoder may all lie in a small range, or in one place."""
    ys = (torch.linspace(0, 1, 5) * spread).tolist()
    view = painted([0.0, 1.0], ys)
    assert len(view.rows) == 5
    assert view.pixels().shape[0] > 5 * 40


def test_two_dimensions_of_a_prior_lie_at_its_quantiles():
    axes = grid_axes(WithPrior(2), torch.randn(50, 2), 5)
    quantiles = stats.norm.ppf([0.01, 0.255, 0.5, 0.745, 0.99])
    for values in (axes.xs, axes.ys):
        torch.testing.assert_close(values.double(), torch.tensor(quantiles), atol=1e-5, rtol=1e-5)
    codes = axes.plane.codes(axes.xs, axes.ys)
    assert torch.equal(codes[:5, 0], axes.xs)
    assert torch.equal(codes[::5, 1], axes.ys)
    assert "quantiles of the prior" in axes.meaning
    assert "z0 (right) and z1 (up)" in axes.meaning


def test_without_a_prior_the_grid_spans_the_codes():
    codes = torch.randn(1000, 2) * torch.tensor([1.0, 20.0]) + 7
    axes = grid_axes(Linear(2), codes, 4)
    for values, own in zip((axes.xs, axes.ys), codes.T, strict=True):
        low, high = own.quantile(torch.tensor([0.01, 0.99])).tolist()
        torch.testing.assert_close(values, torch.linspace(low, high, 4))
    assert "middle 98 % of the codes" in axes.meaning


def test_more_dimensions_are_seen_along_the_principal_axes():
    codes = torch.randn(4000, 4) * torch.tensor([0.1, 3.0, 0.1, 2.0]) + torch.arange(4.0)
    axes = grid_axes(WithPrior(4), codes, 3)
    plane = axes.plane
    torch.testing.assert_close(plane.origin, codes.mean(dim=0))
    deviations = codes.std(dim=0)
    assert plane.x_axis.abs().argmax() == 1
    assert plane.y_axis.abs().argmax() == 3
    torch.testing.assert_close(plane.x_axis[1], deviations[1], rtol=0.01, atol=0)
    torch.testing.assert_close(plane.y_axis[3], deviations[3], rtol=0.01, atol=0)
    assert "principal axes" in axes.meaning


@pytest.mark.parametrize(("latent_dim", "dimensions"), [(2, None), (4, None), (4, (3, 1))])
def test_the_condition_of_the_first_code_is_kept(latent_dim, dimensions):
    codes = torch.cat([torch.randn(30, latent_dim), torch.eye(3).repeat(10, 1)], dim=1)
    axes = grid_axes(WithPrior(latent_dim + 3, latent_dim), codes, 4, dimensions)
    grid = axes.plane.codes(axes.xs, axes.ys)
    assert (grid[:, latent_dim:] == torch.tensor([1.0, 0, 0])).all()
    assert len(grid[:, :latent_dim].unique(dim=0)) == 16


def test_chosen_dimensions_keep_the_others_of_the_first_code():
    codes = torch.randn(20, 5)
    axes = grid_axes(WithPrior(5), codes, 3, (4, 2))
    grid = axes.plane.codes(axes.xs, axes.ys)
    assert torch.equal(grid[:3, 4], axes.xs)
    assert torch.equal(grid[::3, 2], axes.ys)
    assert (grid[:, [0, 1, 3]] == codes[0, [0, 1, 3]]).all()
    assert "z4 (right) and z2 (up)" in axes.meaning


def test_one_draw_of_the_prior_is_seen_in_its_first_dimensions():
    codes = torch.randn(1, 5)
    grid = grid_axes(WithPrior(5), codes, 3)
    images = grid.plane.codes(grid.xs, grid.ys)
    assert (images[:, 2:] == codes[0, 2:]).all()
    assert "z0 (right) and z1 (up)" in grid.meaning


@pytest.mark.parametrize("dimensions", [(0, 4), (5, 1), (2, 2)])
def test_a_condition_is_no_dimension_to_show(dimensions):
    model, codes = WithPrior(6, latent_dim=4), torch.randn(9, 6)
    with pytest.raises(UserError, match="from 0 to 3, got"):
        grid_axes(model, codes, 3, dimensions)


def labelled(codes, kl=None):
    nothing = torch.empty(len(codes), 0)
    labels = torch.zeros(len(codes), dtype=torch.int64)
    return LabelledCodes(codes, labels, nothing, nothing if kl is None else kl)


def test_dimensions_stand_in_the_order_of_their_kl():
    model = WithPosterior(4)
    codes = encode(model, batch_of([0] * 5))
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
    view = traversal(model, origin, spread, [Ranked(2, "z2"), Ranked(0, "z0")], steps=3, span=2.0)
    assert view.columns == ("-2", "0", "2")
    assert list(view.rows) == ["z2", "z0"]
    for dimension, row in zip((2, 0), view.rows.values(), strict=True):
        codes = origin.repeat(3, 1)
        codes[:, dimension] = torch.tensor([-2.0, 0, 2])
        torch.testing.assert_close(row, model.decode(codes))
    assert "from -2 to 2, standard deviations of the prior" in view.title


def test_without_a_prior_the_range_is_that_of_the_codes():
    model, codes = Linear(3), torch.randn(40, 3) * torch.tensor([1.0, 10, 100]) + 5
    view = traversal(model, codes[:1], labelled(codes), [Ranked(1, "z1")], steps=3, span=1.5)
    mean, deviation = codes[:, 1].numpy().mean().item(), codes[:, 1].numpy().std().item()
    expected = codes[:1].repeat(3, 1)
    expected[:, 1] = torch.tensor([mean - 1.5 * deviation, mean, mean + 1.5 * deviation])
    torch.testing.assert_close(view.rows["z1"], model.decode(expected))
    assert "standard deviations of its codes around their mean" in view.title


def test_a_single_code_has_no_spread():
    model, codes = Linear(3), torch.randn(1, 3)
    view = traversal(model, codes, labelled(codes), rank(model, labelled(codes), 3), steps=3)
    assert all(row.isfinite().all() for row in view.rows.values())


@pytest.mark.parametrize("span", [0.0, -1.0, 1e300, float("inf"), float("nan")])
@pytest.mark.parametrize("steps", [1, 3])
def test_a_range_without_extent_is_refused(steps, span):
    with pytest.raises(UserError, match="at least 2 steps and a span above 0, at most 100"):
        traversal(Linear(), torch.zeros(1, 2), None, [Ranked(0, "z0")], steps=steps, span=span)


def test_the_typical_code_is_of_middle_brightness():
    model = Linear(6)
    images = torch.tensor([0.9, 0.0, 0.5, 0.1, 1.0])[:, None, None, None].expand(5, 1, 2, 3)
    codes = model.encode(images)
    assert torch.equal(typical(model, codes), codes[2:3])
    assert torch.equal(typical(model, codes[1:2]), codes[1:2])
