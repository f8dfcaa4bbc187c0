"""Codes of images, and where they lie."""

import torch

from lightning_gen.models import CVAE
from lightning_gen.views.codes import encode, free_dimensions, join, without_condition
from support.linear import Linear, WithPrior, batch_of
from support.models import batch_of as images_of
from support.models import tiny


def test_codes_come_with_the_labels_and_factors_of_their_images():
    model, batch = Linear(3), batch_of([2, 0, 1], [[1, 2], [3, 4], [5, 6]])
    codes = encode(model, batch)
    assert torch.equal(codes.codes, model.encode(batch.images))
    assert torch.equal(codes.labels, batch.labels)
    assert torch.equal(codes.factors, batch.factors)
    assert codes.kl.shape == (3, 0)


def test_batches_are_joined_in_order():
    model, batch = Linear(3), batch_of([2, 0, 1, 1, 0], [[n, -n] for n in range(5)])
    parts = [type(batch)(*(t[span] for t in batch)) for span in (slice(2), slice(2, 5))]
    joined = join([encode(model, part) for part in parts])
    for mine, whole in zip(joined, encode(model, batch), strict=True):
        torch.testing.assert_close(mine, whole)


@torch.no_grad()
def test_a_conditional_model_is_told_the_class_of_each_image():
    model = tiny(CVAE, class_names=tuple("abcdefghij")).eval()
    batch = images_of(torch.rand(12, 1, 28, 28))
    codes = encode(model, batch)
    assert torch.equal(codes.codes[:, 4:], torch.eye(10)[batch.labels])
    vectors = torch.eye(10)[batch.labels]
    torch.testing.assert_close(codes.codes[:, :4], model.posterior(batch.images, vectors).mean)
    posterior = model.posterior(batch.images, vectors)
    prior = torch.distributions.Normal(0.0, 1.0)
    own = torch.distributions.Normal(posterior.mean, (posterior.log_var / 2).exp())
    torch.testing.assert_close(codes.kl, torch.distributions.kl_divergence(own, prior))


def test_a_condition_is_not_free():
    assert free_dimensions(WithPrior(5, latent_dim=2), torch.zeros(1, 5)) == 2
    assert free_dimensions(Linear(5), torch.zeros(1, 5)) == 5


def test_the_condition_of_a_code_is_left_out():
    model = WithPrior(5, latent_dim=2)
    codes = encode(model, batch_of([0, 1] * 3))
    free = without_condition(model, codes)
    assert torch.equal(free.codes, codes.codes[:, :2])
    assert free[1:] == codes[1:]
