import pytest
import torch

from lightning_gen import contracts
from lightning_gen.contracts import Batch, able
from lightning_gen.data import MiniFashionMNIST
from lightning_gen.models import AE, CVAE
from lightning_gen.networks import Dense
from lightning_gen.networks.condition import ClassCondition, TrainingConditions, make_condition
from lightning_gen.objectives import ELBO
from support.models import batch_of, build
from support.refusals import assert_refused

ATTRIBUTES = {"attributes": ("hat", "size")}


@pytest.fixture(params=[{}, ATTRIBUTES, {"embedding_dim": 3}, {"embedding_dim": 3} | ATTRIBUTES])
def model(request):
    return build(CVAE, (1, 12, 10), latent_dim=4, architecture=Dense((8,)), **request.param)


@pytest.fixture
def batch():
    return batch_of(torch.rand(6, 1, 12, 10))


def test_a_code_is_the_latent_and_the_condition(model, batch):
    codes = contracts.condition_on(model, batch).encode(batch.images)
    vectors = model.condition.of(batch)
    assert codes.shape == (6, 4 + vectors.shape[1])
    assert torch.equal(codes[:, 4:], vectors)
    assert torch.equal(codes[:, :4], model.condition_on(batch).posterior(batch.images).mean)


def test_encoder_and_decoder_hear_the_condition(model, batch):
    other = Batch(batch.images, (batch.labels + 1) % 10, 1 - batch.factors.clamp(max=1))
    codes, changed = (contracts.condition_on(model, b).encode(b.images) for b in (batch, other))
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
    terms = model.terms(batch, batch.images)
    assert terms["loss"].item() == pytest.approx((terms["reconstruction"] + terms["kl"]).item())
    terms["loss"].backward()
    for embed in (model.encoder.embed, model.decoder.embed):
        assert embed.weight.grad.abs().sum() > 0
    assert_refused("embedding_dim is at least 1, got 0", build, CVAE, embedding_dim=0)


def test_what_needs_a_condition_is_offered_once_it_is_known(model, batch):
    itself = contracts.Decodes, contracts.SamplesImages, contracts.SamplesCodes
    told = contracts.Encodes, contracts.Reconstructs, contracts.Infers
    told += (contracts.EstimatesLikelihood,)
    for capability in (*itself, *told):
        assert isinstance(model, capability) == (capability in itself)
        assert able(model, (capability,))
    assert all(isinstance(model.condition_on(batch), capability) for capability in told)
    assert not able(model, (contracts.Quantizes,))
    assert not able(build(AE), (contracts.EstimatesLikelihood,))


def test_a_label_an_image(model):
    _, label = next(iter(model.examples().items()))
    assert_refused("expected 4, got 3", model.sample, 4, label.expand(3, *label.shape))


@pytest.mark.slow
def test_training_binds_the_image_to_its_class():
    """With a beta that leaves z unused, the image of a class is the mean of its images."""
    data = MiniFashionMNIST()
    source = data.load("train")
    torch.manual_seed(0)
    names, arguments = data.info.class_names, {"latent_dim": 2, "architecture": Dense((64,))}
    model = CVAE(data.image_shape, names, objective=ELBO(beta=20.0), **arguments)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for step in range(150):
        batch = source[torch.randint(len(source), (100,))]
        batch = batch._replace(images=batch.images / 255)
        optimizer.zero_grad()
        model.terms(batch, batch.images, step)["loss"].backward()
        optimizer.step()
    images = source.images.flatten(1) / 255
    means = torch.stack([images[source.labels == label].mean(0) for label in range(10)])
    with torch.no_grad():
        drawn = model.decode(torch.cat([torch.zeros(10, 2), torch.eye(10)], dim=1)).flatten(1)
    assert torch.cdist(drawn, means).argmin(dim=1).tolist() == [*range(10)]


FACTORS = {"shape": 3, "hat": 2, "constant": 1, "x": 5}
LABELLED = Batch(
    torch.rand(3, 1, 4, 4),
    torch.tensor([2, 0, 1]),
    torch.tensor([[0, 1, 0, 4], [1, 0, 0, 1], [2, 1, 0, 2]]),
)
CLASSES = ClassCondition(("boot", "coat", "bag"))
NAMED = make_condition((), ("x", "hat", "constant"), FACTORS)
NO_CLASSES = [torch.tensor(labels) for labels in ([0, 3], [-1], [0.5], [[1]])]
NO_ATTRIBUTES = [torch.zeros(3), torch.zeros(2, 4), torch.full((2, 3), 1.5)]


@pytest.mark.parametrize("label", [-1, 3])
def test_an_image_of_no_class_is_refused(label):
    batch = LABELLED._replace(labels=torch.tensor([0, 1, label]))
    assert_refused("labels are whole numbers from 0 to 2", CLASSES.of, batch)


def test_attributes_are_factors_scaled_to_one():
    expected = torch.tensor([[1.0, 1, 0], [0.25, 0, 0], [0.5, 1, 0]])
    assert torch.equal(NAMED.of(LABELLED), expected)
    assert torch.equal(NAMED.vectors(expected), expected)


def test_examples_have_the_vectors_that_their_names_promise():
    assert [*CLASSES.examples()] == ["boot", "coat", "bag"]
    labels = torch.stack([*CLASSES.examples().values()])
    assert torch.equal(CLASSES.vectors(labels), torch.eye(3))
    rows = NAMED.examples()
    assert [*rows] == ["none", "x", "hat", "constant"]
    vectors = NAMED.vectors(torch.stack([*rows.values()]))
    assert torch.equal(vectors, torch.cat([torch.zeros(1, 3), torch.eye(3)]))


def test_draws_are_rows_of_the_latest_training_images():
    """Values between 0 and 1, and which attributes go together, stay as the images have them."""
    conditions = TrainingConditions(torch.eye(2), capacity=6)
    assert {*map(tuple, conditions.draw(50, torch.device("cpu")).tolist())} == {(0, 1), (1, 0)}
    conditions.add(torch.tensor([[0.9, 0.9], [0.25, 0.25]]))
    for _ in range(2):
        conditions.add(torch.tensor([[0.25, 0.25], [0.25, 0.25], [0.75, 0.75]]))
    again = TrainingConditions(torch.eye(2), capacity=6)
    again.load_state_dict(conditions.state_dict())
    for kept in (conditions, again):
        drawn = kept.draw(3000, torch.device("cpu"))
        assert {*map(tuple, drawn.tolist())} == {(0.25, 0.25), (0.75, 0.75)}
        assert drawn.mean().item() == pytest.approx(0.25 + 0.5 / 3, abs=0.02)
    for kept in (conditions, again):  # more than is kept
        kept.add(torch.arange(16.0).view(8, 2))
        kept.add(torch.tensor([[20.0, 20.0]]))
        assert kept.rows[:, 0].tolist() == [6, 8, 10, 12, 14, 20]


@pytest.mark.parametrize(
    ("condition", "message", "wrong"),
    [
        (CLASSES, "numbers from 0 to 2, one an image, got .*boot, coat", NO_CLASSES),
        (NAMED, r"3 numbers in \[0, 1\] .*\(x, hat, constant\), got", NO_ATTRIBUTES),
    ],
)
def test_labels_of_another_kind_are_refused(condition, message, wrong):
    for labels in wrong:
        assert_refused(message, condition.vectors, labels)


def test_one_class_and_an_unknown_attribute_are_no_condition():
    assert_refused(r"at least 2 classes, .* has 1.*model.attributes", ClassCondition, ("image",))
    known = r"'hats'. Known: shape, hat, constant, x"
    assert_refused(known, make_condition, (), ("hats",), FACTORS)
