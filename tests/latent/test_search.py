"""Codes found by descending along a decoder's gradient."""

import torch

from lightning_gen.latent import descend
from support.refusals import assert_refused


def search(decode, images, starts, free, steps=300):
    def distance(found):
        return (found - images).square().flatten(1).sum(dim=1)

    return [*descend(decode, distance, starts, free, steps, rate=0.2)]


def linear():
    """A decoder of five numbers into 3x4 pixels, and images that it cannot all give."""
    matrix = torch.randn(5, 12)
    return matrix, lambda codes: (codes @ matrix).view(-1, 1, 3, 4), torch.rand(7, 1, 3, 4)


def test_of_a_linear_decoder_the_codes_are_those_of_least_squares():
    matrix, decode, images = linear()
    codes, distances = search(decode, images, torch.randn(7, 5), free=5)[-1]
    expected = torch.linalg.lstsq(matrix.T, images.flatten(1).T).solution.T
    torch.testing.assert_close(codes, expected, atol=1e-3, rtol=0)
    left = (images - decode(expected)).square().flatten(1).sum(dim=1)
    torch.testing.assert_close(distances, left, atol=1e-4, rtol=0)


def test_what_is_not_free_stays_and_the_rest_is_best_for_it():
    matrix, decode, images = linear()
    starts = torch.randn(7, 5)
    codes = search(decode, images, starts, free=3)[-1].codes
    assert torch.equal(codes[:, 3:], starts[:, 3:])
    rest = images.flatten(1) - starts[:, 3:] @ matrix[3:]
    expected = torch.linalg.lstsq(matrix[:3].T, rest.T).solution.T
    torch.testing.assert_close(codes[:, :3], expected, atol=1e-3, rtol=0)


def test_no_step_makes_a_code_worse_and_no_code_knows_of_another():
    _, decode, images = linear()
    starts = 0.1 * torch.randn(7, 5)  # the first steps are too long
    with torch.no_grad():  # as in a notebook that has switched gradients off
        way = search(decode, images, starts, free=5, steps=20)
    assert len(way) == 21
    assert torch.equal(way[0].codes, starts)
    distances = torch.stack([each.distances for each in way])
    assert (distances.diff(dim=0) <= 0).all()
    assert (distances[-1] < distances[0]).all()
    for codes, least in way:
        error = (images - decode(codes)).square().flatten(1).sum(dim=1)
        torch.testing.assert_close(error, least)
    alone = search(decode, images[2:3], starts[2:3], free=5, steps=20)
    torch.testing.assert_close(alone[-1].codes, way[-1].codes[2:3])


def test_a_decoder_without_a_gradient_is_told():
    _, decode, images = linear()
    starts = torch.randn(7, 5)
    assert_refused("has none", search, lambda codes: decode(codes.detach()), images, starts, 5)
