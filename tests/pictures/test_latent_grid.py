import pytest
import torch
from scipy import stats

from lightning_gen.latent import Plane
from lightning_gen.models import AE
from lightning_gen.models.fitted_prior import use_prior
from lightning_gen.networks import Dense
from lightning_gen.pictures import LatentGrid, Seen
from lightning_gen.pictures.codes import unlabelled
from lightning_gen.pictures.latent_grid import GridAxes, grid_axes, latent_grid
from lightning_gen.pictures.traversal import Ranked, traversal
from lightning_gen.priors import GaussianMixture
from support.linear import Linear, WithPrior
from support.models import build
from support.refusals import assert_refused


class Painter:
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
    model, picture = WithPrior(6, latent_dim=4), LatentGrid(dimensions=dimensions)
    two = "two different latent dimensions from 0 to 3, got"
    assert_refused(two, picture.check, model)
    assert_refused(two, grid_axes, model, torch.randn(9, 6), 3, dimensions)


def test_a_generator_is_seen_around_one_draw_of_its_prior():
    model = WithPrior(4)
    picture = LatentGrid(steps=3, dimensions=(3, 1))
    torch.manual_seed(0)
    view = picture.draw(model, Seen())
    torch.manual_seed(0)
    expected = latent_grid(model, grid_axes(model, model.sample_codes(1), 3, (3, 1)))
    assert view.title == expected.title
    torch.testing.assert_close(view.rows, expected.rows)


def test_codes_of_images_are_seen_along_their_axes():
    model, codes = Linear(4), torch.randn(30, 4)
    view = LatentGrid(steps=3).draw(model, Seen(codes=unlabelled(codes)))
    expected = latent_grid(model, grid_axes(model, codes, 3))
    torch.testing.assert_close(view.rows, expected.rows)


@torch.no_grad()
def test_a_fitted_prior_is_seen_at_its_own_quantiles_and_deviations():
    torch.manual_seed(0)
    model = build(AE, latent_dim=2, architecture=Dense((8,))).eval()
    codes = torch.stack([20 + 3 * torch.randn(20_000), torch.rand(20_000)], dim=1)
    use_prior(model, GaussianMixture(3).fit(codes))
    axes = grid_axes(model, codes[:50], 5)
    own = model.prior.sample(1_000_000)
    expected = own.quantile(torch.tensor([0.01, 0.255, 0.5, 0.745, 0.99]), dim=0).T
    torch.testing.assert_close(axes.xs, expected[0], atol=0.4, rtol=0)
    torch.testing.assert_close(axes.ys, expected[1], atol=0.15, rtol=0)
    rows = traversal(model, codes[:1], None, [Ranked(0, "z0")], 3, 1.0).rows
    ends = torch.tensor([[17.0, codes[0, 1]], [23.0, codes[0, 1]]])
    torch.testing.assert_close(rows["z0"][[0, 2]], model.decode(ends), atol=0.05, rtol=0)
