"""``project``: codes of images found by optimisation."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from lightning_gen.features import FashionMNISTClassifier
from lightning_gen.metrics import PSNR
from lightning_gen.models import Classifier
from lightning_gen.runs import project as verb
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.inversion import find_codes
from support.arrays import arrays_of
from support.command import MINI_DATA, NO_PICTURES
from support.finished import run_of
from support.kinds import KINDS
from support.models import batch_of
from support.refusals import assert_refused

FEW = ("--num_images", "2", "--restarts", "2", "--steps", "5")


@pytest.fixture(scope="module")
def logs(train, tmp_path_factory):
    """A small GAN, trained until its images differ; to be read only."""
    words = ("--model.latent_dim", "8", "--model.architecture.widths", "[8, 4]")
    steps = ("--trainer.max_steps", "150", "--trainer.enable_progress_bar", "false")
    fit = ("fit", "--model", "DCGAN", *words, *MINI_DATA, *NO_PICTURES, *steps, "--name", "gan")
    quick = ("--trainer.accelerator", "cpu", "--test_after_fit", "false")
    return train(tmp_path_factory.mktemp("project"), [*fit, *quick]) / "logs"


@pytest.fixture
def gan(logs):
    return FinishedRun.open(logs / "gan")


def test_samples_of_a_gan_are_found_again(gan):
    torch.manual_seed(5)
    images = gan.model.sample(10)
    nearest = PSNR.of(gan.model.decode(gan.project(images, steps=1)), images)
    state = torch.get_rng_state()
    codes = gan.project(images)
    assert torch.equal(torch.get_rng_state(), state)
    found = PSNR.of(gan.model.decode(codes), images)
    assert codes.shape == (10, 8)
    assert (found > 40).sum() >= 9
    assert nearest.median() < 30
    again, other = gan.project(images[:1], steps=9), gan.project(images[:1], steps=9, seed=1)
    assert torch.equal(again, gan.project(images[:1], steps=9))
    assert not torch.equal(again, other)


def test_the_best_of_the_restarts_is_kept(gan):
    images = torch.rand(8, 1, 28, 28)
    ratios = [
        PSNR.of(gan.model.decode(gan.project(images, restarts, steps=2)), images)
        for restarts in (1, 6)
    ]
    assert (ratios[1] >= ratios[0] - 1e-4).all(), "the first of them is the same"
    assert (ratios[1] > ratios[0] + 1e-3).any()


def test_the_size_of_a_batch_does_not_matter(gan):
    batch = batch_of(torch.rand(5, 1, 28, 28))
    ways = []
    for size in (1, 7, 256):
        torch.manual_seed(0)
        ways.append(find_codes(gan, batch, 3, 10, batch_size=size, seen_at=(0, 4)))
    assert ways[0].shape == (3, 5, 8)
    for way in ways[1:]:
        torch.testing.assert_close(way, ways[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["AE", "VAE", "CVAE"])
def test_a_code_is_at_least_as_good_as_the_encoder_s(kind):
    run, batch = run_of(KINDS[kind]()), batch_of(torch.rand(6, 1, 28, 28))
    model = run.model.condition_on(batch) if kind == "CVAE" else run.model
    own = model.encode(batch.images)
    codes = run.project((batch.images, batch.labels), steps=50)
    assert codes.shape == own.shape
    error = (run.model.decode(codes) - batch.images).square().flatten(1).sum(dim=1)
    of_encoder = (run.model.decode(own) - batch.images).square().flatten(1).sum(dim=1)
    assert (error < of_encoder).all()
    if kind == "CVAE":
        assert torch.equal(codes[:, run.model.latent_dim :], own[:, run.model.latent_dim :])


def test_a_conditional_gan_keeps_the_class_where_it_is_known():
    run, images = run_of(KINDS["CGAN"]()), torch.rand(6, 1, 28, 28)
    labels = torch.tensor([3, 3, 9, 0, 1, 9])
    codes = run.project((images, labels), restarts=2, steps=3)
    assert codes[:, run.model.latent_dim :].argmax(dim=1).tolist() == labels.tolist()
    free = run.project(images, restarts=2, steps=3)[:, run.model.latent_dim :]
    assert torch.equal(free.sum(dim=1), torch.ones(6))
    assert_refused("images is at least 1", run.project, images[:0])
    assert_refused(r"images in \[0, 1\], got values", run.project, images * 2)


def test_features_come_nearer_where_they_count(gan):
    extractor, images = FashionMNISTClassifier(), FinishedRun.open(gan.path).model.sample(4)
    images = (images + images.flip(3)) / 2  # what the model cannot give
    errors = []
    for features in (None, extractor):
        found = gan.model.decode(gan.project(images, steps=100, features=features))
        errors.append((extractor(found) - extractor(images)).square().sum())
    assert errors[1] < 0.9 * errors[0]


class Rounding(FashionMNISTClassifier):
    """As Inception, which takes 8-bit images."""

    def features(self, images):
        return super().features((images.detach() * 255).round() / 255)


def test_features_that_cannot_be_followed_are_told(gan):
    images = torch.rand(2, 1, 28, 28)
    assert_refused("rounds images to 8 bits", gan.project, images, features=Rounding())


def test_files_of_any_size_and_what_takes_their_codes(logs, command, tmp_path):
    random = np.random.default_rng(0)
    for number, size in enumerate([(28, 28), (60, 40), (300, 310)]):
        picture = Image.fromarray(random.integers(0, 255, (4, 4, 3), np.uint8)).resize(size)
        (tmp_path / "photos").mkdir(exist_ok=True)
        picture.save(tmp_path / "photos" / f"{number}.png")
    words = ("project", logs / "gan", "--images", "photos", *FEW[2:])
    answer = command(*words, "--out", "found", "--film", "search.gif").done()
    assert sorted(path.name for path in (tmp_path / "found").iterdir()) == [
        *("codes.npz", "projection.png", "psnr.csv")
    ]
    with Image.open("search.gif") as film:
        assert 2 < film.n_frames <= 6 + 9
    with open("found/psnr.csv", newline="") as file:
        table = [*csv.DictReader(file)]
    kept = arrays_of("found/codes.npz")
    assert [row["name"] for row in table] == kept["names"].tolist() == ["0.png", "1.png", "2.png"]
    run = FinishedRun.open(logs / "gan")
    images = run.read("photos")
    ratios = PSNR.of(run.model.decode(torch.from_numpy(kept["codes"])), images)
    np.testing.assert_allclose([float(row["psnr"]) for row in table], ratios, atol=1e-3)
    assert f"PSNR {ratios.mean():.2f} dB, the mean of 3 images" in answer.out
    assert f"{ratios[1]:.2f} dB  1.png" in answer.out
    np.testing.assert_array_equal(run.project(images, 2, 5), kept["codes"])
    command(*words, "--out", "again").done()
    np.testing.assert_array_equal(arrays_of("again/codes.npz")["codes"], kept["codes"])
    command("decode", logs / "gan", "found/codes.npz", "--out", "decoded.npz").done()
    assert len(arrays_of("decoded.npz")["images"]) == 3
    walk = ("--from_codes", "found/codes.npz", "--steps", "4")
    command("interpolate", logs / "gan", *walk, "--out", "walk.npz").done()
    ends = arrays_of("walk.npz")["images"][[0, 3]]
    assert np.abs(ends.astype(int) - arrays_of("decoded.npz")["images"][:2]).max() <= 1
    command("traverse", logs / "gan", *walk, "--out", "walk.png").done()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("project", "gan", "--images", "nope"), "there is no such file or folder"),
        (("project", "gan", "--images", "empty"), "expected images in it or below, found none"),
        (("project", "gan", "--out", "a.png"), "--out takes a folder, got a.png"),
        (("project", "gan", "--film", "a.avi"), "--film takes .gif, .mp4, got a.avi"),
        (("project", "gan", "--restarts", "0"), "--restarts is at least 1, got 0"),
        (("project", "gan", "--restarts", "2000"), "--restarts is at most 1,000"),
        (("project", "gan", "--steps", "0"), "--steps is at least 1, got 0"),
        (("project", "gan", "--features", "Fashion"), "there is no extractor Fashion"),
        (("project", "gan", "--features", "os.system"), "features"),
        (("interpolate", "gan", "--from_codes", "short.csv"), "takes another length"),
        (("traverse", "gan", "--from_codes", "short.csv"), "takes another length"),
        (("interpolate", "gan", "--from_codes", "nope.npz"), "expected an .npz or .csv of codes"),
        (("interpolate", "gan", "--from_codes", "one.csv"), "at least 2 images, got 1"),
        (("draw", "gan", "Samples", "--from_codes", "one.csv"), "--from_codes is of walks"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_a_user_gets_wrong_is_one_line(words, line, logs, command, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "short.csv").write_text("z0,z1\n1,2\n3,4\n")
    head, row = ",".join(f"z{j}" for j in range(8)), ",".join("0" * 8)
    (tmp_path / "one.csv").write_text(f"{head}\n{row}\n")
    (tmp_path / "logs").symlink_to(logs)
    before = {*tmp_path.rglob("*"), *logs.rglob("*")}
    command(*words).refused(line)
    assert {*tmp_path.rglob("*"), *logs.rglob("*")} == before


def test_models_and_images_that_have_no_projection(gan, logs):
    images = torch.rand(2, 1, 28, 28)
    assert_refused("has none", run_of(KINDS["VQVAE"]()).project, images)
    assert_refused(
        "project needs a model that decodes", run_of(Classifier((1, 28, 28), 10)).project, images
    )
    assert_refused("got", gan.project, torch.rand(2, 1, 32, 32))
    assert_refused("a batch is images", gan.project, "photos")
    assert_refused("restarts is at least 1", gan.project, images, restarts=0)


def test_a_fault_leaves_no_half_of_a_file(logs, command, tmp_path, monkeypatch):
    def broken(*arguments, **options):
        raise OSError("the disk is gone")

    monkeypatch.setattr(verb, "write_rows", broken)
    answer = command("project", logs / "gan", *FEW, "--out", "found")
    assert answer.code == 1
    assert "the disk is gone" in answer.line
    assert [path.name for path in (tmp_path / "found").iterdir()] == ["codes.npz"]
    assert arrays_of("found/codes.npz")["codes"].shape == (2, 8)
