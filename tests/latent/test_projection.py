import sys
from importlib.util import find_spec

import pytest
import torch

from lightning_gen.latent import PCA, TSNE, UMAP, to_plane
from support.refusals import assert_refused

# UMAP compiles itself for half a minute.
installed = pytest.mark.skipif(find_spec("umap") is None, reason="umap-learn is not installed")
ONCE = [pytest.mark.slow, installed, pytest.mark.xdist_group("UMAP")]
ALL = [PCA(), TSNE(), pytest.param(UMAP(), marks=ONCE)]


def clusters(count=40, size=5, distance=50.0):
    codes = torch.randn(count, size)
    second = torch.arange(count) % 2 == 1
    codes[second, 0] += distance
    return codes, second


def name(projection):
    return type(projection).__name__


def test_one_dimension_lies_on_a_line_and_two_are_kept():
    codes = torch.randn(6, 2)
    points, axes = to_plane(codes, PCA())
    assert torch.equal(points, codes)
    assert axes == ("z0", "z1")
    points, axes = to_plane(codes[:, :1], PCA())
    assert torch.equal(points[:, 0], codes[:, 0])
    assert (points[:, 1] == 0).all()
    assert axes == ("z0", "")


@pytest.mark.parametrize("size", [3, 40, 1100])
def test_pca_agrees_with_a_singular_value_decomposition(size):
    codes = torch.randn(30, size) * torch.linspace(3, 0.1, size)
    points, axes = to_plane(codes, PCA())
    centred = codes.double() - codes.double().mean(dim=0)
    u, s, _ = torch.linalg.svd(centred, full_matrices=False)
    expected = (u * s)[:, :2].float()
    signs = (points * expected).sum(dim=0).sign()
    torch.testing.assert_close(points * signs, expected, atol=1e-4, rtol=1e-4)
    shares = (100 * s.square() / s.square().sum())[:2].tolist()
    assert axes == (
        f"principal component 1 ({shares[0]:.0f} % of the variance)",
        f"principal component 2 ({shares[1]:.0f} %)",
    )


@pytest.mark.parametrize("projection", ALL, ids=name)
def test_the_same_codes_lie_in_the_same_places(projection):
    codes, _ = clusters()
    threads = torch.get_num_threads()
    first, second = (to_plane(codes, projection).points for _ in range(2))
    assert torch.equal(first, second)
    assert first.dtype == torch.float32
    assert torch.get_num_threads() == threads, "those of the whole process"


@pytest.mark.parametrize("projection", ALL, ids=name)
def test_far_clusters_stay_apart(projection):
    codes, second = clusters()
    points = to_plane(codes, projection).points
    mine, other = points[second], points[~second]
    within = max(torch.cdist(part, part).max().item() for part in (mine, other))
    assert torch.cdist(mine, other).min() > 0.1 * within
    nearest = torch.cdist(points, points).fill_diagonal_(torch.inf).argmin(dim=1)
    assert torch.equal(second[nearest], second)


@pytest.mark.parametrize(
    "codes",
    [
        *(torch.randn(count, 6) for count in (1, 2, 3, 4, 7)),
        clusters(30, 1200)[0],
        *(torch.ones(20, size) for size in (5, 1200)),
    ],
    ids=lambda codes: "x".join(map(str, codes.shape)),
)
@pytest.mark.parametrize("projection", ALL, ids=name)
def test_few_wide_and_collapsed_codes_are_laid_out(projection, codes):
    points, axes = to_plane(codes, projection)
    assert points.shape == (len(codes), 2)
    assert points.isfinite().all()
    assert "nan" not in axes[0]


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_codes_that_are_no_numbers_are_refused(size, value):
    codes = torch.randn(9, size)
    codes[3] = value
    assert_refused("1 of 9 codes are NaN or infinite", to_plane, codes, TSNE())


def test_without_umap_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    match = r'pip install "lightning-gen\[umap\]", or take TSNE'
    assert_refused(match, to_plane, torch.randn(9, 5), UMAP())


def test_codes_of_another_split_lie_along_the_same_axes():
    """Axes of nearly the same variance change places, or sign, from one sample to another."""
    val, test = torch.randn(300, 8), torch.randn(300, 8)
    seen = to_plane(val, PCA())
    alike = to_plane(torch.cat([test, val]), PCA(), like=val)
    torch.testing.assert_close(alike.points[300:], seen.points)
    assert alike.axes == seen.axes
    assert (to_plane(test, PCA()).points - alike.points[:300]).abs().max() > 0.1
