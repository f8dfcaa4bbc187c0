"""The conditional VAE: what it is told matters, and reaches it from every side."""

import pytest
import torch

from lightning_gen import contracts
from lightning_gen.contracts import Batch
from lightning_gen.data import MiniFashionMNIST
from lightning_gen.errors import UserError
from lightning_gen.models import CVAE
from lightning_gen.networks import Dense
from lightning_gen.objectives import ELBO
from support.models import batch_of, build, terms_of

ATTRIBUTES = {"attributes": ("hat", "size")}


@pytest.fixture(params=[{}, ATTRIBUTES, {"embedding_dim": 3}, {"embedding_dim": 3} | ATTRIBUTES])
def model(request):
    return build(CVAE, (1, 12, 10), latent_dim=4, architecture=Dense((8,)), **request.param)


@pytest.fixture
def batch():
    return batch_of(torch.rand(6, 1, 12, 10))


def test_a_code_is_the_latent_and_the_condition(model, batch):
    codes = contracts.given(model, batch).encode(batch.images)
    vectors = model.condition.of(batch)
    assert codes.shape == (6, 4 + vectors.shape[1])
    assert torch.equal(codes[:, 4:], vectors)
    assert torch.equal(codes[:, :4], model.posterior(batch.images, vectors).mean)


def test_encoder_and_decoder_hear_the_condition(model, batch):
    other = Batch(batch.images, (batch.labels + 1) % 10, 1 - batch.factors.clamp(max=1))
    codes, changed = (contracts.given(model, b).encode(b.images) for b in (batch, other))
    assert not torch.allclose(codes[:, :4], changed[:, :4])
    swapped = torch.cat([codes[:, :4], changed[:, 4:]], dim=1)
    assert not torch.allclose(model.decode(codes), model.decode(swapped))


def test_samples_of_a_label_are_decoded_from_it(model):
    name, label = list(model.examples().items())[1]
    torch.manual_seed(3)
    images = model.sample(5, label.expand(5, *label.shape))
    torch.manual_seed(3)
    vectors = model.condition.vectors(label.expand(5, *label.shape))
    codes = torch.cat([torch.randn(5, 4), vectors], dim=1)
    assert torch.equal(images, model.decode(codes)), name


def test_samples_without_labels_follow_the_training_images():
    model = build(CVAE, (1, 12, 10), latent_dim=4, architecture=Dense((8,)))
    drawn = model.sample_codes(5000)[:, 4:].mean(dim=0)
    torch.testing.assert_close(drawn, torch.full((10,), 0.1), atol=0.02, rtol=0)
    images = torch.rand(4, 1, 12, 10)
    for labels in ([0, 0, 0, 0], [0, 0, 7, 7], [0, 7, 0, 7]):
        batch = batch_of(images)._replace(labels=torch.tensor(labels))
        model.terms(batch, images, training_step=0)
        model.terms(batch._replace(labels=torch.tensor([1, 1, 1, 1])), images)  # evaluation
    expected = torch.zeros(10)
    expected[[0, 7]] = torch.tensor([8 / 12, 4 / 12])
    drawn = model.sample_codes(5000)[:, 4:].mean(dim=0)
    torch.testing.assert_close(drawn, expected, atol=0.02, rtol=0)


def test_gradients_reach_the_embeddings(batch):
    model = build(CVAE, (1, 12, 10), embedding_dim=3, architecture=Dense((8,)))
    model.terms(batch, batch.images).loss.backward()
    for embed in (model.encoder.embed, model.decoder.embed):
        assert embed.weight.grad.abs().sum() > 0


def test_images_alone_are_not_enough(model, batch):
    with pytest.raises(UserError, match=r"must know the condition .*given\(batch\)"):
        model.encode(batch.images)


def test_a_label_an_image(model):
    _, label = next(iter(model.examples().items()))
    with pytest.raises(UserError, match="expected 4, got 3"):
        model.sample(4, label.expand(3, *label.shape))


def test_bad_embedding_dim():
    with pytest.raises(UserError, match="embedding_dim is at least 1, got 0"):
        build(CVAE, embedding_dim=0)


@pytest.mark.slow
def test_training_binds_the_image_to_its_class():
    """With a beta that leaves z unused, the image of a class is the mean of its images."""
    data = MiniFashionMNIST()
    source = data.load_train()
    torch.manual_seed(0)
    names, arguments = data.class_names, {"latent_dim": 2, "architecture": Dense((64,))}
    model = CVAE(data.image_shape, names, objective=ELBO(beta=20.0), **arguments)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for step in range(150):
        batch = source[torch.randint(len(source), (100,))]
        batch = batch._replace(images=batch.images / 255)
        optimizer.zero_grad()
        model.terms(batch, batch.images, step).loss.backward()
        optimizer.step()
    images = source.images.flatten(1) / 255
    means = torch.stack([images[source.labels == label].mean(0) for label in range(10)])
    with torch.no_grad():
        drawn = model.decode(torch.cat([torch.zeros(10, 2), torch.eye(10)], dim=1)).flatten(1)
    assert torch.cdist(drawn, means).argmin(dim=1).tolist() == [*range(10)]


def test_terms_are_those_of_a_vae(batch):
    terms = terms_of(build(CVAE, (1, 12, 10)), batch.images)
    assert terms.loss.item() == pytest.approx((terms.reconstruction + terms.kl).item())
