"""``score``: the images of a folder, ranked by how unusual they are."""

import csv
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score

from lightning_gen.contracts import Batch
from lightning_gen.data import MiniFashionMNIST
from lightning_gen.metrics.anomaly import MahalanobisDistance
from lightning_gen.runs.anomalies.masks import Masks
from lightning_gen.runs.anomalies.scored import Scored
from lightning_gen.runs.anomalies.scorer import Judged
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.inputs import NamedBatch
from support.command import NO_PICTURES, TWO_BATCHES
from support.pages import Browser, parsed, words

BLOCK = slice(10, 20)
SCORES = ("squared_error", "negative_elbo", "code_distance")


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Garments, and others with a bright block; its place is white in the masks."""
    folder = tmp_path_factory.mktemp("parts")
    data = MiniFashionMNIST()
    data.setup("test")
    images = data.batch("test", 30).images
    for number, image in enumerate(images.mul(255).byte().numpy()):
        spoilt = number >= 15
        mask = np.zeros((28, 28), np.uint8)
        if spoilt:
            mask[BLOCK, BLOCK] = 255
        kind = "block" if spoilt else "good"
        write(folder / "images" / kind / f"{number}.png", np.maximum(image[0], mask))
        if spoilt:
            write(folder / "masks" / kind / f"{number}_mask.png", mask)
    return folder


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def run(finished, tmp_path, monkeypatch):
    """A finished run in the working directory."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished, tmp_path / "logs" / "vae" / "version_0")
    return FinishedRun.open("vae")


def table(path="score.csv"):
    rows = list(csv.DictReader(path.read_text().splitlines()))
    return rows, {name: np.array([float(row[name]) for row in rows]) for name in SCORES}


def test_a_folder_is_ranked(command, run, parts, tmp_path):
    answer = command("score", "vae", "--images", parts / "images", "--out", "score.html").done()
    rows, values = table(tmp_path / "score.csv")
    assert [row["rank"] for row in rows] == [str(n) for n in range(1, 31)]
    assert (np.diff(values["squared_error"]) <= 0).all()
    spoilt = [row["kind"] == "block" for row in rows]
    lines = dict(line.split(": ") for line in answer.out.splitlines() if "AUROC" in line)
    for name in SCORES:
        area = float(lines[f"AUROC of {name}"].split(" ± ")[0])
        assert area == pytest.approx(roc_auc_score(spoilt, values[name]), abs=0.01)
    images = run.read(parts / "images" / rows[0]["name"])
    error = (run.model.reconstruct(images) - images).square().mean()
    assert values["squared_error"][0] == pytest.approx(float(error), rel=1e-4)
    assert "30 images, 15 of them known as normal" in words(parsed(tmp_path / "score.html"))


def test_the_threshold_is_of_the_validation_images(command, run, parts, tmp_path):
    data = run.data
    data.setup("fit")
    kept = [batch.images / 255 for batch in data.in_order("val")]
    errors = [(run.model.reconstruct(x) - x).square().mean(dim=(1, 2, 3)) for x in kept]
    threshold = np.quantile(torch.cat(errors).numpy(), 0.9)
    ask = ("--quantile", "0.9", "--out", "score.csv")
    command("score", "vae", "--images", parts / "images", *ask).done()
    rows, values = table(tmp_path / "score.csv")
    unusual = [row["unusual"] == "yes" for row in rows]
    assert unusual == list(values["squared_error"] > threshold)


def test_masks_tell_whether_the_right_pixels_differ(command, run, parts):
    ask = ("score", "vae", "--images", parts / "images", "--out", "score.csv", "--masks")
    answer = command(*ask, parts / "masks").done()
    area = float(answer.out.partition("AUROC of squared_error of each pixel: ")[2].split()[0])
    errors, masks = [], []
    for path in sorted((parts / "images").rglob("*.png")):
        images = run.read(path)
        difference = (run.model.reconstruct(images) - images)[0, 0].square().numpy()
        errors.append(gaussian_filter(difference, 28 / 64, mode="mirror"))
        masks.append(np.zeros((28, 28)))
        if path.parent.name == "block":
            masks[-1][BLOCK, BLOCK] = 1
    expected = roc_auc_score(np.ravel(masks), np.ravel(errors))
    assert area == pytest.approx(expected, abs=0.002)
    shutil.copytree(parts / "masks", "some")
    next(iter(sorted((run.path.parents[2] / "some").rglob("*.png")))).unlink()
    said = command(*ask, "some").done().out
    assert "1 unusual images have no mask, such as block/15.png" in said
    shutil.copytree("some", "again/some")
    command(*ask, "again").done()
    shutil.copytree("some", "again/other/some")
    command(*ask, "again").refused("are both masks of block/")
    command(*ask, "none").refused("--masks none: expected a folder")


@pytest.mark.parametrize("form", ["1", "P", "I;16", "RGBA", "ones", "large"])
def test_masks_of_any_form(form, tmp_path):
    white = np.zeros((28, 28), np.uint8)
    white[BLOCK, BLOCK] = 255
    image = Image.fromarray(white)
    if form == "ones":  # numbers of classes
        image = Image.fromarray(white // 255)
    elif form == "I;16":
        image = Image.fromarray(white.astype(np.uint16) * 257)
    elif form == "RGBA":  # white on what is clear
        image = Image.merge("RGBA", [Image.new("L", (28, 28), 255)] * 3 + [image])
    elif form == "large":
        image = image.resize((280, 280), Image.Resampling.NEAREST)
    else:
        image = image.convert(form)
    (tmp_path / "crack").mkdir()
    image.save(tmp_path / "crack" / "1.png")
    masks = Masks(tmp_path, (3, 28, 28))
    errors = torch.from_numpy(white / 255.0).float().expand(2, -1, -1)
    masks.see(["crack/1.jpg", "good/1.jpg"], ["crack", "good"], ["good"], errors)
    above, below = 100, 2 * 784 - 100  # the second image has as large errors at 100 pixels
    assert masks.area() == pytest.approx((0.5 * above + below - 100) / below)
    assert masks.notes == []


def test_masks_are_found_by_the_longest_tail(tmp_path):
    for place, brightness in (("test/x", 255), ("x", 0)):
        write(tmp_path / place / "0_mask.png", np.full((8, 8), brightness, np.uint8))
    masks = Masks(tmp_path, (1, 8, 8))
    masks.see(["a/test/x/0.png"], ["x"], [], torch.ones(1, 8, 8))
    assert masks.notes == ["There is no AUROC of pixels: it takes defective and whole ones."]
    masks.see(["0.png"], ["y"], [], torch.ones(1, 8, 8))
    assert "1 unusual images have no mask, such as 0.png" in masks.notes[0]


def test_one_folder_of_normal_images(command, run, parts, tmp_path):
    """It is called by its own name."""
    ask = ("score", "vae", "--images", parts / "images" / "good", "--out", "score.csv")
    answer = command(*ask, "--normal", "good").done()
    assert "15 images, 15 of them known as normal." in answer.out
    assert "There is no AUROC: it takes two or more normal images" in answer.out
    assert {row["kind"] for row in table(tmp_path / "score.csv")[0]} == {"good"}
    command(*ask, "--normal", "good", "goood").refused("no image is of 'goood'. Did you mean good?")


def test_nothing_to_validate_on(command, in_tmp, parts):
    bare = ("--model", "AE", "--data", "MiniFashionMNIST", "--data.val_fraction", "0")
    command("fit", *bare, *NO_PICTURES, *TWO_BATCHES, "--name", "bare").done()
    answer = command("score", "bare", "--images", parts / "images", "--out", "score.csv").done()
    assert "There is no threshold: the dataset of bare/version_0 has no val images" in answer.out


def test_few_pictures_are_kept_and_no_batches():
    scored = Scored("squared_error", ["good"], "", None, 3)
    for start in range(0, 40, 10):
        images = torch.rand(10, 1, 8, 8)
        batch = Batch(images, torch.zeros(10, dtype=torch.long), torch.empty(10, 0))
        values = {"squared_error": torch.arange(start, start + 10.0)}
        part = NamedBatch(batch, [f"good/{n}.png" for n in range(start, start + 10)])
        scored.add(part, Judged(values, images, images[:, 0]), ())
    assert [each.name for each in scored.shown] == [f"good/{n}.png" for n in (39, 38, 37)]
    assert all(each.image.untyped_storage().nbytes() == 64 * 4 for each in scored.shown)
    assert [*scored.rows(0.0)][1][-1] == "yes"


def test_the_classes_of_training_are_normal(command, run):
    bags = ("--model", "AE", "--data", "MiniFashionMNIST", "--data.train_classes", "['Bag']")
    command("fit", *bags, *NO_PICTURES, *TWO_BATCHES, "--name", "bags").done()
    answer = command("score", "bags", "--out", "score.csv", "--by", "code_distance").done()
    assert "2,000 images, 200 of them known as normal." in answer.out
    assert "AUROC of code_distance" in answer.out
    refused = command("score", "bags", "--by", "negative_elbo")
    refused.refused("this run gives squared_error, code_distance, got 'negative_elbo'")


@pytest.mark.parametrize(
    ("words_", "message"),
    [
        (("--by", "loss"), "by: expected"),
        (("--normal", "god"), "normal: no image is of 'god'. Did you mean good?"),
        (("--quantile", "1"), "quantile is a share between 0 and 1"),
        (("--out", "x.png"), "--out takes .html, .htm, .csv"),
    ],
)
def test_what_cannot_be(words_, message, command, run, parts):
    command("score", "vae", "--images", parts / "images", *words_).refused(message)


def test_without_the_dataset_errors_are_scored(command, run, parts, tmp_path):
    config = run.path / "config.yaml"
    text = config.read_text().replace(
        "lightning_gen.data.MiniFashionMNIST", "lightning_gen.data.Gone"
    )
    config.write_text(text)
    answer = command("score", "vae", "--images", parts / "images", "--out", "score.csv").done()
    assert "There is no code_distance: " in answer.out
    assert "There is no threshold: " in answer.out
    assert "unusual" not in (tmp_path / "score.csv").read_text().splitlines()[0]


def test_mahalanobis_distance():
    codes = torch.from_numpy(np.random.default_rng(0).normal(size=(50, 3)) @ np.diag([1, 2, 5]))
    fitted = LedoitWolf().fit(codes.numpy())
    expected = np.sqrt(fitted.mahalanobis(codes.numpy()[:5]))
    np.testing.assert_allclose(MahalanobisDistance(codes)(codes[:5]), expected, rtol=1e-6)


@pytest.mark.slow
def test_in_a_browser(command, run, parts, tmp_path):
    command("score", "vae", "--images", parts / "images", "--out", "score.html").done()
    assert max(Browser(tmp_path).overflow(tmp_path / "score.html", 390, 1280)) <= 0
