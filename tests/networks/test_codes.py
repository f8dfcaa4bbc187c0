"""Codebooks."""

import math
import re

import pytest
import torch

from lightning_gen.networks import Codebook
from support.processes import on_two_processes
from support.refusals import assert_refused


def with_codes(codes, **arguments):
    """One codebook of these codes [K, D], each as if it had been the mean of ten vectors."""
    size, dim = codes.shape
    quantizer = Codebook(size, dim, **arguments).quantizer()
    quantizer.codes.copy_(codes[None])
    quantizer.counts.fill_(10)
    quantizer.sums.copy_(10 * codes[None])
    return quantizer


def as_maps(vectors):
    return vectors[:, :, None, None]


def step(quantizer, features):
    quantizer.update(features, quantizer.nearest(features))


@pytest.mark.parametrize("count", [1, 3])
def test_the_nearest_code_is_found(count):
    quantizer = Codebook(size=9, dim=6, count=count).quantizer()
    quantizer.codes.normal_()
    features = torch.randn(4, 6, 3, 2)
    indices = quantizer.nearest(features)
    quantised = quantizer.lookup(indices)
    assert indices.shape == (4, 3, 2, count)
    assert quantised.shape == features.shape
    width = 6 // count
    for n, y, x in torch.cartesian_prod(torch.arange(4), torch.arange(3), torch.arange(2)):
        for book in range(count):
            part = slice(width * book, width * (book + 1))
            vector = features[n, part, y, x]
            distances = [torch.dist(vector, code) for code in quantizer.codes[book]]
            best = int(torch.stack(distances).argmin())
            assert indices[n, y, x, book] == best
            assert torch.equal(quantised[n, part, y, x], quantizer.codes[book, best])


def test_uses_are_counted_for_each_codebook():
    quantizer = Codebook(size=4, dim=4, count=2).quantizer()
    indices = torch.tensor([[0, 3], [0, 2], [1, 3]]).view(3, 1, 1, 2)
    assert quantizer.use(indices).tolist() == [[2, 1, 0, 0], [0, 0, 1, 2]]


def test_distances_are_in_float32_under_autocast():
    codes = torch.tensor([[1.0, 0.0], [1.001, 0.0]])  # one number in bfloat16
    quantizer = with_codes(codes)
    with torch.autocast("cpu", torch.bfloat16):
        assert quantizer.nearest(as_maps(codes)).flatten().tolist() == [0, 1]
        step(quantizer, as_maps(codes))
    torch.testing.assert_close(quantizer.codes[0], codes, rtol=0, atol=1e-5)


def test_the_moving_averages_by_hand():
    quantizer = with_codes(torch.tensor([[0.0, 0.0], [10.0, 10.0]]), decay=0.9)
    step(quantizer, as_maps(torch.tensor([[1.0, 0.0], [0.0, 3.0], [9.0, 12.0]])))
    # 0.9 * 10 + 0.1 * 2 and 0.9 * 10 + 0.1 * 1 vectors; their sums in the same way.
    counts, sums = [9.2, 9.1], [[0.1, 0.3], [90.9, 91.2]]
    assert quantizer.counts[0].tolist() == pytest.approx(counts)
    torch.testing.assert_close(quantizer.sums[0], torch.tensor(sums))
    # Laplace smoothing: (c + e) / (C + K e) * C with e = 1e-5.
    smooth = [(c + 1e-5) / (18.3 + 2e-5) * 18.3 for c in counts]
    expected = torch.tensor(sums) / torch.tensor(smooth)[:, None]
    torch.testing.assert_close(quantizer.codes[0], expected)


def test_each_codebook_follows_its_own_channels():
    quantizer = Codebook(size=2, dim=2, count=2, decay=0.0).quantizer()
    quantizer.codes.copy_(torch.tensor([[[0.0], [4.0]], [[-1.0], [1.0]]]))
    step(quantizer, as_maps(torch.tensor([[1.0, -1.5], [3.0, -2.5], [5.0, 3.0]])))
    expected = torch.tensor([[[1.0], [4.0]], [[-2.0], [3.0]]])
    torch.testing.assert_close(quantizer.codes, expected, rtol=1e-4, atol=0)


def test_the_first_step_takes_the_unused_codes_from_the_batch():
    for restart_below in (0.0, 0.1):
        quantizer = Codebook(size=8, dim=3, restart_below=restart_below).quantizer()
        features = 100 + torch.randn(50, 3, 2, 2)
        step(quantizer, features)
        vectors = features.movedim(1, 3).flatten(0, 2)
        assert (quantizer.codes[0] > 95).all()
        exact = {"compute_mode": "donot_use_mm_for_euclid_dist"}
        nearest = torch.cdist(quantizer.codes[0], vectors, **exact).min(dim=1).values
        assert (nearest < 0.2).sum() >= 7, "all but the one code that won"


def test_dead_codes_start_anew_from_the_batch_and_live_ones_stay():
    codes = torch.tensor([[0.0, 0.0], [10.0, 0.0], [500.0, 500.0]])
    batch = as_maps(torch.tensor([[0.0, 0.0], [10.0, 0.0]]).repeat(20, 1))
    quantizer = with_codes(codes, decay=0.9, restart_below=0.2)
    steps = 0
    while quantizer.codes[0, 2, 0] > 400:
        step(quantizer, batch)
        steps += 1
        assert steps < 50
    assert steps > 5, "its moving count must first fall to a fifth of the mean"
    torch.testing.assert_close(quantizer.codes[0, :2], codes[:2], rtol=1e-4, atol=1e-4)
    new = quantizer.codes[0, 2]
    assert min(torch.dist(new, codes[0]), torch.dist(new, codes[1])) < 1e-3


def update_half(rank, features, codes):
    torch.manual_seed(rank)
    shared = with_codes(codes, restart_below=0.0)
    step(shared, features[rank::2])
    restarted = Codebook(size=16, dim=2, restart_below=0.9).quantizer()
    restarted.codes.copy_(torch.arange(32.0).view(1, 16, 2))
    for half in (features[rank::2], features[rank::2] + 7):
        step(restarted, half)
    return shared.state_dict(), restarted.state_dict()


def test_two_processes_keep_the_same_codebooks(tmp_path):
    features, codes = torch.randn(20, 2, 3, 3), torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
    first, second = on_two_processes(update_half, tmp_path, features, codes)
    for one, other in zip(first, second, strict=True):
        assert all(torch.equal(one[key], other[key]) for key in one)
    alone = with_codes(codes, restart_below=0.0)
    step(alone, features)
    torch.testing.assert_close(first[0], alone.state_dict())
    # The restarted codes come from the batches of both.
    vectors = (features + 7).movedim(1, 3).flatten(1, 2)
    distances = torch.cdist(first[1]["codes"][0], vectors.flatten(0, 1)).view(16, 20, 9).amin(dim=2)
    ranks = {int(n) % 2 for n in distances.argmin(dim=1)[distances.amin(dim=1) < 1e-2]}
    assert ranks == {0, 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 1}, "size is at least 2, got 1"),
        ({"dim": 0}, "dim is at least 1, got 0"),
        ({"count": 0}, "count is at least 1, got 0"),
        ({"decay": 1.0}, "decay is at least 0 and below 1, got 1.0"),
        ({"restart_below": -0.1}, "restart_below is at least 0 and below 1, got -0.1"),
        ({"commitment": math.nan}, "commitment is at least 0, got nan"),
        ({"dim": 10, "count": 4}, "got 10 channels for 4. Set dim to a multiple of 4"),
    ],
)
def test_bad_arguments(arguments, message):
    assert_refused(re.escape(message), Codebook, **arguments)
