import math
from dataclasses import replace

import pytest
import torch
from torch.utils.data import DataLoader

from lightning_gen.callbacks import (
    AggregatePosterior,
    AnomalyDetection,
    Disentanglement,
    LikelihoodBound,
    ReconstructionQuality,
    SampleQuality,
)
from lightning_gen.callbacks.evaluation import spread
from lightning_gen.contracts import Batch
from lightning_gen.data import MiniFashionMNIST, Shapes
from lightning_gen.features import FashionMNISTClassifier
from lightning_gen.metrics.generation import manifold
from lightning_gen.models import AE, CVAE, DCGAN, VAE, VQVAE
from lightning_gen.objectives import DiscretizedLogistic, Gaussian
from lightning_gen.objectives.posterior import importance_weighted_bound
from lightning_gen.priors import VampPrior
from support.models import build, tiny
from support.refusals import assert_refused


@pytest.fixture(scope="module")
def binary():
    return MiniFashionMNIST(batch_size=20, binarize="dynamic")


@pytest.fixture
def tested(trainer, mini):
    def run(callback, model, data=mini, **arguments):
        run = trainer(callback, limit_test_batches=3, logger=False, **arguments)
        run.test(model, data, verbose=False)
        for name, card in callback.cards.items():
            assert run.callback_metrics[f"test/{name}"].item() == pytest.approx(card.value)
        return callback.cards

    return run


def seen_images(data, count):
    """``count`` images, spread over the three batches of 20 of ``tested``."""
    [images, *_] = (batch.images for batch in data.in_order("test", 60))
    return images[spread(0, 60, count, 60)].float() / 255


def test_reconstruction_is_that_of_the_images(tested, mini):
    model = tiny()
    cards = tested(ReconstructionQuality(num_images=50), model)
    images = seen_images(mini, 50)
    with torch.no_grad():
        error = (model.reconstruct(images) - images).square().flatten(1).mean(dim=1)
    assert set(cards) == {"mse", "psnr", "ssim", "bce"}
    assert cards["mse"].value == pytest.approx(error.mean().item(), rel=1e-5)
    assert cards["mse"].standard_error == pytest.approx((error.std() / 50**0.5).item(), rel=1e-4)
    assert {(card.num_images, card.split) for card in cards.values()} == {(50, "test")}
    assert all(card.seconds > 0 for card in cards.values())


@pytest.mark.parametrize("kind", [CVAE, VQVAE, AE])
def test_every_kind_of_model_is_scored(kind, tested):
    assert tested(ReconstructionQuality(), build(kind))["psnr"].num_images == 60


def test_a_fit_is_scored_in_its_test_alone(trainer, mini):
    callback = ReconstructionQuality()
    run = trainer(callback, limit_test_batches=1)
    run.fit(tiny(), mini)
    assert callback.cards == {}
    run.validate(run.lightning_module, mini, verbose=False)
    assert {card.split for card in callback.cards.values()} == {"val"}
    run.test(run.lightning_module, mini, verbose=False)
    assert {card.split for card in callback.cards.values()} == {"test"}


@pytest.mark.parametrize(
    "callback",
    [
        SampleQuality(FashionMNISTClassifier(), num_images=40),
        AggregatePosterior(num_images=40),
        LikelihoodBound(num_samples=3, num_images=40),
    ],
    ids=lambda callback: type(callback).__name__,
)
def test_scores_repeat_and_leave_the_random_state_alone(callback, tested, binary):
    model = tiny()
    first = tested(callback, model, binary)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    again = tested(callback, model, binary)
    assert {n: c.value for n, c in again.items()} == {n: c.value for n, c in first.items()}
    with torch.random.fork_rng():
        model.test_step = lambda *_: None  # what the model itself draws is another matter
        torch.set_rng_state(state)
        tested(callback, model, binary)
        assert torch.equal(torch.get_rng_state(), state)


def test_likelihood_is_the_importance_weighted_bound(tested, binary):
    model = tiny()
    [(name, card)] = tested(LikelihoodBound(400, num_images=20, at_once=70), model, binary).items()
    images = seen_images(binary, 20)
    with torch.no_grad():
        expected = -importance_weighted_bound(model.log_weights(images, 400)).mean().item()
    assert name == "negative_log_likelihood"
    assert card.details["importance_samples"] == 400
    assert card.value == pytest.approx(expected, abs=0.5)


@pytest.mark.parametrize("likelihood", [DiscretizedLogistic(), Gaussian(sigma=0.2)])
def test_eight_bit_images_have_bits_per_dimension(likelihood, tested):
    cards = tested(LikelihoodBound(5, num_images=20), tiny(likelihood=likelihood))
    nats, bits = (cards[f"negative_log_likelihood{unit}"] for unit in ("", "_bits"))
    assert bits.value == pytest.approx(nats.value / (784 * math.log(2)))
    assert ("dequantisation" in nats.details) is not likelihood.discrete


@pytest.mark.parametrize("verb", ["fit", "test"])
def test_a_bernoulli_of_grey_levels_is_refused_at_the_first_batch(verb, trainer, mini):
    run = trainer(LikelihoodBound(2, num_images=20))
    assert_refused(r"grey levels.*no likelihood.*data\.binarize", getattr(run, verb), tiny(), mini)
    assert run.global_step == 0


def test_samples_are_scored_under_the_extractors_name(tested):
    cards = tested(SampleQuality(FashionMNISTClassifier(), num_images=60), build(VAE))
    scores = {"frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage"}
    scores |= {"reconstruction_frechet_distance", "frechet_distance_gap", "memorisation"}
    scores |= {"rarest_class"}
    assert set(cards) == {f"{score}[fashion_mnist_classifier]" for score in scores}
    of = {score: cards[f"{score}[fashion_mnist_classifier]"].value for score in scores}
    gap = of["frechet_distance"] - of["reconstruction_frechet_distance"]
    assert of["frechet_distance_gap"] == pytest.approx(gap)
    extractor = cards["precision[fashion_mnist_classifier]"].details["extractor"]
    assert extractor["sha256"] == FashionMNISTClassifier().sha256
    assert extractor["resize"] == "none"


class Labels(ReconstructionQuality):
    def begin(self, trainer, pl_module):
        super().begin(trainer, pl_module)
        self.labels = []

    def see(self, pl_module, batch):
        super().see(pl_module, batch)
        self.labels += batch.labels.tolist()


@pytest.mark.parametrize(("wanted", "seen", "batch_size"), [(1100, 1100, 30), (5000, 2000, 300)])
def test_images_are_spread_over_a_split_that_is_sorted_by_class(wanted, seen, batch_size, trainer):
    data = MiniFashionMNIST(batch_size=batch_size)
    data.setup("test")
    split = data.splits["test"]
    data.splits["test"] = split.at(split.labels.argsort(stable=True))
    callback = Labels(num_images=wanted)
    trainer(callback, logger=False).test(tiny(), data, verbose=False)
    counts = torch.tensor(callback.labels).bincount(minlength=10)
    assert counts.sum() == seen == callback.cards["mse"].num_images
    assert counts.max() - counts.min() <= 1


def test_a_gan_has_no_reconstructions_to_score(tested):
    cards = tested(SampleQuality(FashionMNISTClassifier(), num_images=60), build(DCGAN))
    assert len(cards) == 8


class Recalls(CVAE):
    """It draws real images, of the class that is asked for and otherwise of the first nine."""

    images = None

    def sample(self, n, labels=None):
        asked = torch.arange(n) % 9 if labels is None else labels
        return torch.stack([self.images[int(label)] for label in asked])


def test_the_classes_of_samples_are_scored(tested, mini):
    judge, model = FashionMNISTClassifier(), build(Recalls)
    images = seen_images(mini, 60)
    classes = judge.classes(images)
    model.images = [images[classes == number][0] for number in range(10)]
    cards = tested(SampleQuality(judge, num_images=60), model)
    assert cards["rarest_class[fashion_mnist_classifier]"].value == 0
    assert cards["class_agreement[fashion_mnist_classifier]"].value == 1
    model.images[3] = model.images[4]
    card = tested(SampleQuality(judge, num_images=60), model)["class_agreement[" + judge.name + "]"]
    assert card.value == pytest.approx(0.9)
    assert card.standard_error == pytest.approx((0.09 / 59) ** 0.5)


@pytest.mark.parametrize(
    ("callback", "data", "match"),
    [
        (lambda: SampleQuality(FashionMNISTClassifier()), Shapes, "of 1x28x28, got 1x64x64"),
        (AnomalyDetection, MiniFashionMNIST, r"trains on all.*data\.train_classes"),
        (AnomalyDetection, Shapes, r"trains on all\. Choose data that has train_classes"),
        (Disentanglement, MiniFashionMNIST, "ground-truth factors.*MiniFashionMNIST has none"),
    ],
)
def test_data_that_cannot_be_scored_are_refused_before_training(callback, data, match, trainer):
    model = build(VAE, data.info.image_shape)
    assert_refused(match, trainer(callback()).fit, model, data())
    assert model.global_step == 0


class Memory(VAE):
    images = None

    def sample(self, n):
        self.images, samples = self.images[n:], self.images[:n]
        return samples


@pytest.mark.slow
@pytest.mark.parametrize("real", [True, False])
def test_real_images_as_samples_are_near_and_noise_is_far(real, trainer, mini, monkeypatch):
    monkeypatch.setattr(
        manifold.NeighbourScores, "_variance_over_parts", lambda *_, **__: torch.zeros(2)
    )  # it takes long
    model = tiny(Memory)
    images = mini.load("train")[torch.arange(1000, 2000)].images.float() / 255
    model.images = images if real else torch.rand_like(images)
    callback = SampleQuality(FashionMNISTClassifier(), num_images=1000)
    trainer(callback).test(model, mini, verbose=False)
    card = callback.cards["frechet_distance[fashion_mnist_classifier]"]
    coverage = callback.cards["coverage[fashion_mnist_classifier]"]
    assert (card.value < 3) is real
    assert (coverage.value > 0.8) is real


def test_the_aggregate_posterior_adds_up(tested, mini):
    model = tiny()
    cards = tested(AggregatePosterior(num_images=60), model)
    with torch.no_grad():
        kl = model.posterior(seen_images(mini, 60)).kl_to_standard_normal().mean(dim=0)
    assert cards["posterior_kl"].value == pytest.approx(kl.sum().item(), rel=1e-4)
    parts = [cards[f"kl_dimension/{j:02d}"].value for j in range(4)]
    assert parts == pytest.approx(kl.tolist(), rel=1e-4)
    total = cards["mutual_information"].value + cards["marginal_kl_upper_bound"].value
    assert total == pytest.approx(cards["posterior_kl"].value)


def test_anomalies_are_the_classes_that_were_not_trained_on(trainer):
    data = MiniFashionMNIST(batch_size=50, train_classes=("Trouser",), val_fraction=0.1)
    callback = AnomalyDetection()
    run = trainer(callback, max_epochs=4, limit_train_batches=None)
    run.fit(tiny(), data)
    run.test(run.lightning_module, data, verbose=False)
    cards = callback.cards
    assert cards.keys() == {"auroc_reconstruction", "auroc_elbo"}
    assert all(card.details["normal_classes"] == [1] for card in cards.values())
    assert cards["auroc_reconstruction"].value > 0.9
    assert cards["auroc_reconstruction"].num_images == 2000


class Factored(MiniFashionMNIST):
    """Images whose first two pixels are their factors."""

    info = replace(MiniFashionMNIST.info, factor_names=("left", "right"), factor_sizes=(4, 3))

    def test_dataloader(self):
        numbers = torch.arange(600)
        factors = torch.stack([numbers % 4, numbers // 4 % 3], dim=1)
        images = torch.zeros(600, 1, 28, 28)
        images[:, 0, 0, :2] = factors / 3
        return DataLoader([Batch(images, numbers % 10, factors)], batch_size=None)

    def on_after_batch_transfer(self, batch, dataloader_idx):
        return batch


class Reads(VAE):
    def encode(self, images):
        return images[:, 0, 0, :2]


def test_disentanglement_is_of_the_codes(trainer):
    callback = Disentanglement()
    trainer(callback).test(tiny(Reads), Factored(), verbose=False)
    scores = {name: card.value for name, card in callback.cards.items()}
    perfect = {"mig", "dci_disentanglement", "dci_informativeness", "factor_vae_score"}
    assert min(scores[name] for name in perfect) > 0.97, scores
    others = {"dci_completeness", "beta_vae_score", "sap", "modularity", "total_correlation"}
    assert set(scores) == perfect | others


def test_distances_to_a_normal_prior_are_asked_of_no_other_one(tested):
    assert_refused(
        r"measures the distance to N\(0, I\), and the prior of this model is VampPrior",
        tested,
        AggregatePosterior(),
        tiny(VAE, prior=VampPrior(3)),
    )


@pytest.mark.parametrize("mirror", [False, True])
def test_a_mirrored_copy_is_a_copy_where_the_training_mirrors(mirror, tested):
    data = MiniFashionMNIST(batch_size=20, mirror=mirror)
    model = build(VAE)
    copies = data.batch("train", 60).images.flip(3)
    model.sample = lambda n: copies[:n]
    cards = tested(SampleQuality(FashionMNISTClassifier(), num_images=60), model, data)
    assert (cards["memorisation[fashion_mnist_classifier]"].value == 1) == mirror
