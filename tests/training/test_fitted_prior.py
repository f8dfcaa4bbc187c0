"""A prior that is fitted to the codes of a finished run, and kept beside its checkpoints."""

import math
import pickle
from itertools import chain, repeat

import pytest
import torch

import lightning_gen as lg
from lightning_gen import contracts
from lightning_gen.callbacks import LikelihoodBound, SampleQuality
from lightning_gen.features import FashionMNISTClassifier
from lightning_gen.models import AE, CAE, CVAE, DCGAN, VAE, VQVAE, WAE, StackedDAE, VampVAE
from lightning_gen.priors import (
    Autoregressive,
    GaussianMixture,
    NormalizingFlow,
    StandardNormal,
    VampPrior,
)
from lightning_gen.runs.pages.record import RunRecord
from lightning_gen.training import fitted_prior
from lightning_gen.training.checkpoint import load_model
from lightning_gen.training.fitted_prior import (
    FILE,
    codes_of_training,
    fit_to_codes,
    keep_prior,
    prior_in_words,
    use_kept_prior,
)
from support.models import build
from support.refusals import assert_refused

SHORT = {
    **{"accelerator": "cpu", "devices": 1, "max_epochs": 1, "limit_train_batches": 2},
    **{"limit_val_batches": 1, "limit_test_batches": 1, "enable_progress_bar": False},
    "default_pictures": False,
}
DENSE = {"architecture": lg.networks.Dense((8,))}
VECTORS = {
    AE: {"latent_dim": 3, **DENSE},
    CAE: {"widths": (4, 2)},
    StackedDAE: {"widths": (16, 4)},
    WAE: {"latent_dim": 3, **DENSE},
    VAE: {"latent_dim": 3, **DENSE},
    CVAE: {"latent_dim": 3, **DENSE},
}


def fitted(kind, prior, root, binarize=None, **options):
    arguments = VECTORS.get(kind, {"architecture": lg.networks.SpatialResidual((4, 8), 1)})
    data = lg.data.MiniFashionMNIST(batch_size=50, binarize=binarize)
    names = {"class_names": data.info.class_names, "factors": {}} if kind is CVAE else {}
    model = build(kind, **arguments, **names)
    run = lg.fit(model, data, name="r", fit_prior=prior, default_root_dir=root, **SHORT | options)
    return run, model


@pytest.mark.parametrize("kind", VECTORS)
def test_every_model_with_an_encoder_samples_from_a_fitted_prior(kind, tmp_path):
    run, model = fitted(kind, GaussianMixture(4), tmp_path)
    assert type(model) is kind
    assert type(run.model.prior) is GaussianMixture
    assert run.model.prior.covariance == ("full" if run.model.latent_dim < 256 else "diagonal")
    assert "samples_of_fitted_prior" in run.images
    other = lg.load(run.path)
    for each in (run.model, other):
        torch.manual_seed(0)
        images = each.sample(4)
        torch.manual_seed(0)
        draws = each.sample_codes(4)
        torch.testing.assert_close(images, each.decode(draws))
        torch.manual_seed(0)
        assert torch.equal(draws[:, : each.latent_dim], each.prior.sample(4))
    assert torch.equal(other.prior.means, run.model.prior.means)
    config = lg.FinishedRun.open(run.path).config
    assert config["fit_prior"]["class_path"] == "lightning_gen.priors.GaussianMixture"


def test_codes_of_a_codebook_have_an_autoregressive_prior(tmp_path):
    run, _ = fitted(VQVAE, Autoregressive(8, 1, 2, epochs=1), tmp_path)
    before = load_model(run.checkpoint)
    assert run.model.sample(2).shape == (2, 1, 28, 28)
    assert not torch.equal(run.model.prior.bias, before.prior.bias)
    images = torch.rand(30, 1, 28, 28)
    codes = run.model.quantize(images)
    assert run.model.prior.log_prob(codes).mean() > before.prior.log_prob(codes).mean()


def test_the_bound_and_the_scores_are_those_of_the_fitted_prior(tmp_path):
    """A mixture is nearer to the codes than N(0, I), and log p(x) the larger."""
    found = {}
    for prior in (None, GaussianMixture()):
        run, _ = fitted(
            VAE,
            prior,
            tmp_path / str(prior is None),
            callbacks=[
                LikelihoodBound(num_samples=100, num_images=50),
                SampleQuality(FashionMNISTClassifier(), num_images=50),
            ],
            binarize="dynamic",
            max_epochs=4,
            limit_train_batches=1.0,
        )
        found[prior is None] = run.test
    fitted_to, normal = found[False], found[True]
    assert fitted_to["kl"] < normal["kl"] - 0.1
    assert fitted_to["negative_log_likelihood"] < normal["negative_log_likelihood"]
    assert fitted_to["reconstruction"] == pytest.approx(normal["reconstruction"], rel=0.02)
    name = "frechet_distance[fashion_mnist_classifier]"
    assert fitted_to[name] < normal[name]


def test_a_run_with_a_fitted_prior_goes_on_exactly(tmp_path):
    whole, _ = fitted(AE, None, tmp_path / "whole", max_epochs=2)
    fitted(AE, GaussianMixture(2), tmp_path / "parts")
    parts, _ = fitted(AE, None, tmp_path / "parts", max_epochs=2, resume=True)
    weights = (load_model(run.path / "checkpoints" / "last.ckpt") for run in (whole, parts))
    for expected, found in zip(*(each.state_dict().values() for each in weights), strict=True):
        assert torch.equal(found, expected)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return fitted(AE, GaussianMixture(2), tmp_path_factory.mktemp("run"))[0]


@pytest.fixture
def kept(run):
    """The file of the prior, which is put back."""
    path = run.path / FILE
    content = path.read_bytes()
    yield path
    path.write_bytes(content)


def test_it_is_left_aside_for_other_weights(run, kept, caplog):
    content = torch.load(kept, weights_only=True)
    torch.save(content | {"weights": "of another run"}, kept)
    model = load_model(run.checkpoint)
    assert use_kept_prior(model, run.path, run.checkpoint) is None
    assert not hasattr(model, "sample")
    assert "of other weights than those of best.ckpt" in caplog.text


class Evil:
    def __reduce__(self):
        return print, ("run",)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda content: [1, 2], "is broken, or no prior"),
        (lambda content: {"weights": Evil()}, "is broken, or no prior"),
        (lambda c: c | {"state_dict": {"means": torch.tensor(math.nan)}}, "is broken, or no prior"),
        (lambda content: content | {"latent_dim": 9}, "cannot be used: .*size mismatch"),
        (lambda content: content | {"latent_dim": "x"}, "cannot be used"),
        (lambda content: content | {"prior": {"class_path": "os.system"}}, "cannot be used: "),
        (lambda c: c | {"prior": {"class_path": "lightning_gen.models.VAE"}}, "cannot be used: "),
    ],
)
def test_a_broken_file_is_one_line(change, match, run, kept, capsys):
    torch.save(change(torch.load(kept, weights_only=True)), kept)
    assert_refused(match, lg.load, run.path)
    assert "run" not in capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("kind", "prior", "match"),
    [
        (AE, Autoregressive(), "are vectors, and Autoregressive is no prior of these. Fit"),
        (VQVAE, GaussianMixture(), "are entries of codebooks, and GaussianMixture is no prior"),
        (DCGAN, GaussianMixture(), "needs a model that encodes, and DCGAN does not"),
        (AE, "GaussianMixture", "fit_prior"),
    ],
)
def test_what_no_prior_can_be_fitted_to_is_told_before_training(kind, prior, match, tmp_path):
    model, data = build(kind), lg.data.MiniFashionMNIST()
    assert_refused(match, lg.fit, model, data, fit_prior=prior, default_root_dir=tmp_path)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("prior", [StandardNormal(), NormalizingFlow(2, (8,), epochs=1)])
def test_every_prior_comes_back_from_its_file(prior, run, tmp_path):
    model = load_model(run.checkpoint)
    batches = [lg.data.MiniFashionMNIST().batch("train", 300)]
    found = fit_to_codes(model, codes_of_training(model, batches, None), prior)
    keep_prior(found, tmp_path / FILE, run.checkpoint)
    other = load_model(run.checkpoint)
    use_kept_prior(other, tmp_path, run.checkpoint)
    codes = torch.randn(5, 3)
    torch.testing.assert_close(other.prior.log_prob(codes), found.log_prob(codes))


def test_a_prior_that_cannot_be_fitted_ends_no_training(tmp_path, caplog):
    run, _ = fitted(AE, GaussianMixture(5000), tmp_path)
    assert "Prior       none: a mixture of 5000 Gaussians is fitted to ten" in caplog.text
    assert run.test["loss"] > 0
    assert not (run.path / FILE).exists()


def test_a_model_with_a_fitted_prior_is_not_trained(run, tmp_path):
    """Its checkpoint would hold what no constructor makes."""
    model = lg.load(run.path)
    model.unfreeze()
    data = lg.data.MiniFashionMNIST()
    assert_refused('Train .*prior="none"', lg.fit, model, data, default_root_dir=tmp_path)


def test_a_fit_is_repeatable(tmp_path):
    found = []
    for name in "ab":
        torch.manual_seed(0)  # of the weights
        run, _ = fitted(VAE, GaussianMixture(3), tmp_path / name)
        found.append(run.model.prior.means)
    assert torch.equal(*found)


def test_what_is_fitted_is_a_copy(run):
    """One prior for two runs: each has its own."""
    prior, found = GaussianMixture(), []
    for place in (1, 2):
        model = load_model(run.checkpoint)
        batch = lg.data.MiniFashionMNIST().batch("train", 400)
        images = [batch._replace(images=place * batch.images / 2)]
        found.append(fit_to_codes(model, codes_of_training(model, images, None), prior))
    assert prior.components is None
    assert not torch.equal(found[0].means.mean(dim=0), found[1].means.mean(dim=0))


def test_a_damaged_number_is_seen(run, kept):
    content = kept.read_bytes()
    number = run.model.prior.means.numpy().tobytes()[:8]
    place = content.index(number)
    kept.write_bytes(content[:place] + b"\x7f" + content[place + 1 :])
    assert_refused("is broken, or no prior", lg.load, run.path)


def test_it_is_not_named_where_it_is_left_aside(run, kept):
    content = torch.load(kept, weights_only=True)
    assert prior_in_words(run.path, run.checkpoint).startswith("GaussianMixture(components=2")
    torch.save(content | {"weights": "of another run"}, kept)
    assert prior_in_words(run.path, run.checkpoint) == ""
    assert RunRecord.read(run.path).prior == ""


def test_a_model_with_a_fitted_prior_is_pickled(run):
    other = pickle.loads(pickle.dumps(run.model))
    assert type(other) is type(run.model)
    assert torch.equal(other.prior.means, run.model.prior.means)


def test_an_endless_loader_is_encoded_until_the_codes_are_many(run, monkeypatch):
    monkeypatch.setattr(fitted_prior, "MOST_CODES", 100)
    batch = lg.data.MiniFashionMNIST().batch("train", 40)
    assert len(codes_of_training(run.model, chain(repeat(batch, 10), [None]), None)) == 120


def test_what_is_no_prior_of_the_run_is_one_line(run):
    assert_refused("fit_prior", run.fit_prior, GaussianMixture)
    own = lg.FinishedRun.open(run.path, prior="none")
    assert_refused("Leave --prior none out", own.require, (contracts.SamplesImages,), "it")
    assert_refused("temperature is above 0", run.model.sample, 2, temperature=-1.0)
    assert run.model.sample(0).shape == (0, 1, 28, 28)


def test_pseudo_inputs_that_were_trained_or_loaded_begin_no_second_time():
    data = lg.data.MiniFashionMNIST()
    model = build(VampVAE, prior=VampPrior(3))
    model.prior.start(data)
    first = model.prior.pseudo_inputs.clone()
    assert first.sigmoid().min() >= 0.0099
    with torch.no_grad():
        model.prior.pseudo_inputs += 1
    model.prior.start(data)
    assert torch.equal(model.prior.pseudo_inputs, first + 1)
    other = build(VampVAE, prior=VampPrior(3))
    other.load_state_dict(model.state_dict())
    other.prior.start(data)
    assert torch.equal(other.prior.pseudo_inputs, first + 1)


def test_of_few_images_there_are_several_codes(run):
    data = lg.data.MiniFashionMNIST(mirror=True)
    images = [data.batch("train", 6)]
    codes = codes_of_training(run.model, images, data)
    assert codes.shape == (6, 2, 3)  # an AE has one code, and that of the mirrored image
    torch.testing.assert_close(codes[:, 1], run.model.encode(images[0].images.flip(3)))
    data.splits["train"] = data.splits["train"].at(slice(1250))
    codes = codes_of_training(build(VAE, latent_dim=3), images, data)
    assert codes.shape == (6, 8, 3)
    assert codes.std(dim=1).min() > 0.1
