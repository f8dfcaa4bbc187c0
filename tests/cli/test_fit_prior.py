"""``fit-prior``, ``--fit_prior``, and what draws from a fitted prior."""

import shutil

import pytest
import torch
import yaml

from lightning_gen.runs.finished import FinishedRun
from support.command import MINI_DATA, NO_PICTURES, TWO_BATCHES, column, runs

AE = ("--model", "AE", "--model.latent_dim", "2", "--model.architecture", "Dense")
MIXTURE = ("--prior", "GaussianMixture", "--prior.components", "3")


@pytest.fixture(scope="module")
def trained(train, tmp_path_factory):
    """A tiny run without a prior; to be read only."""
    words = ("fit", *AE, *MINI_DATA, *NO_PICTURES, *TWO_BATCHES, "--name", "ae")
    return train(tmp_path_factory.mktemp("prior"), words) / "logs"


@pytest.fixture
def run(trained, in_tmp):
    """The directory of a copy of it."""
    shutil.copytree(trained, in_tmp / "logs")
    return in_tmp / "logs" / "ae" / "version_0"


def test_a_run_without_a_prior_says_how_to_get_one_and_then_samples(command, run):
    remedy = "AE does not. Fit a prior to its codes: lightning-gen fit-prior ae/version_0"
    command("sample", "ae").refused(remedy)
    said = command("fit-prior", "ae", *MIXTURE).done().out
    assert "GaussianMixture(components=3, covariance=full), fitted to the codes" in said
    assert (run / "prior.pt").is_file()
    assert [*run.glob("images/samples_of_fitted_prior/*.png")]
    for verb, *words in (
        ("sample", "--num_images", "4", "--temperature", "0.5"),
        ("interpolate", "--of_draws", "true", "--steps", "3"),
        ("draw", "Samples"),
        ("draw", "LatentGrid", "--steps", "3"),
    ):
        command(verb, "ae", *words).done()
    command("report", "ae").done()
    text = (run / "report.html").read_text(encoding="utf-8")
    assert "drawn from GaussianMixture(components=3, covariance=full), fitted to the codes" in text
    assert "Samples of the fitted prior" in text
    command("sample", "ae", "--prior", "none").refused("Leave --prior none out")


def test_the_scores_of_a_test_are_those_of_the_fitted_prior(command, run):
    command("fit-prior", "ae", *MIXTURE).done()
    scores = ("--trainer.callbacks", "SampleQuality", "--trainer.callbacks.extractor")
    few = ("--trainer.callbacks.num_images", "40", "--trainer.limit_test_batches", "1")
    words = (*scores, "FashionMNISTClassifier", *few)
    command("test", "ae", *words).done()
    assert "memorisation[fashion_mnist_classifier]" in (run / "metrics.json").read_text()
    lacking = "SampleQuality needs a model that samples images"
    command("test", "ae", *words, "--prior", "none").refused(lacking)


def test_a_model_with_a_posterior_is_fitted_to_draws_of_it(command, finished, in_tmp):
    shutil.copytree(finished, in_tmp / "logs" / "vae" / "version_0")
    said = command("fit-prior", "vae", *MIXTURE).done().out
    assert "GaussianMixture(components=3, covariance=full), fitted to the codes" in said


def test_a_training_ends_with_the_prior_that_it_asks_for(command, in_tmp):
    prior = ("--fit_prior", "GaussianMixture", "--fit_prior.components", "2")
    scores = ("--trainer.callbacks", "SampleQuality", "--trainer.callbacks.extractor")
    few = (*scores, "FashionMNISTClassifier", "--trainer.callbacks.num_images", "40")
    words = (*AE, *MINI_DATA, *NO_PICTURES, *TWO_BATCHES, *prior, *few)
    command("fit", *words, "--name", "with").done()
    run = in_tmp / "logs" / "with" / "version_0"
    assert column(run, "test/frechet_distance[fashion_mnist_classifier]")
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["fit_prior"]["init_args"]["components"] == 2
    opened = FinishedRun.open(run)
    torch.manual_seed(0)
    assert opened.model.sample(3).shape == (3, 1, 28, 28)
    assert opened.samples_from == ", from GaussianMixture(components=2, covariance=full)"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--prior", "VAE"), "there is no prior VAE. Choose among Autoregressive"),
        (("--prior", "GaussianMixtur"), "Did you mean GaussianMixture?"),
        (("--prior", "os.system"), "got os.system, whose code would run"),
        ((*MIXTURE[:2], "--prior.component", "5"), "Did you mean components?"),
        ((*MIXTURE[:3], "0"), "GaussianMixture.components is at least 1, got 0"),
        ((*MIXTURE[:3], "9000"), "9000 Gaussians is fitted to ten"),
        (("--prior", "Autoregressive"), "the codes of AE are vectors"),
        (("--prior", "VampPrior"), "is trained with its model, as model.prior"),
    ],
)
def test_what_no_prior_is(words, told, command, run):
    command("fit-prior", "ae", *words).refused(told)
    assert not (run / "prior.pt").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--fit_prior", "VAE"), "fit_prior: VAE does not stand here. Give it to --model"),
        (("--fit_prior", "GaussianMixture", "--fit_prior.components", "0"), "at least 1, got 0"),
        (("--fit_prior", "Autoregressive"), "the codes of AE are vectors, and Autoregressive"),
        (("--model", "VAE", "--model.prior", "Autoregressive"), "model.prior: Autoregressive does"),
    ],
)
def test_what_no_training_can_end_with_is_told_before_it(words, told, command, in_tmp):
    command("fit", *AE, *MINI_DATA, *words).refused(told)
    assert not runs(in_tmp / "logs")
