"""``compare``: several runs side by side in one HTML file."""

import csv
import json
import shutil
from functools import cache
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.pages.compare import compare
from lightning_gen.runs.pages.compared import compared_settings
from support.command import MINI_DATA, NO_PICTURES, TWO_BATCHES
from support.pages import Browser, cells, parsed, words
from support.refusals import assert_refused

pytestmark = pytest.mark.xdist_group("compare")  # one set-up for all
NONE = "\N{EN DASH}"
DENSE = ("--model.architecture", "Dense", "--model.architecture.widths", "[8]")
REST = (*NO_PICTURES, *TWO_BATCHES)
FITS = {
    "ae": ("--model", "AE", "--model.latent_dim", "2", *DENSE, *MINI_DATA, *REST),
    "cvae": ("--model", "CVAE", "--model.latent_dim", "2", *DENSE, *MINI_DATA, *REST),
    "gan": (
        *("--model", "DCGAN", "--model.latent_dim", "2", "--model.architecture", "DCGANNetworks"),
        *("--model.architecture.widths", "[4]", *MINI_DATA, *REST),
    ),
}


@pytest.fixture(scope="module")
def place(train, finished, tmp_path_factory):
    """Trains a run when it is first asked for; ``vae`` is the finished one."""
    root = tmp_path_factory.mktemp("compared")
    shutil.copytree(finished, root / "logs" / "vae" / "version_0")

    def get(name):
        folder = root / "logs" / name
        if not folder.is_dir():
            train(root, ["fit", *FITS[name], "--name", name])
        return str(folder / "version_0")

    return get


@pytest.fixture(scope="module")
def page(place, tmp_path_factory):
    """The page of runs, as a tree; it is written once, as the first of ``page.files``."""

    @cache
    def build(*names):
        out = tmp_path_factory.mktemp("page") / "compare.html"
        build.files.append(out)
        return written(*map(place, names), out=out, num_images=4)

    build.files = []
    return build


def written(*places, out, num_images=2, seed=0):
    """The page of a comparison, as a tree."""
    page = compare(*places, out=out, num_images=num_images, seed=seed, device="cpu")
    return parsed(page)


def alts(tree):
    return [image.get("alt") for image in tree.iter("img")]


def metric(tree, name):
    return next(row for row in cells(tree) if row[0].startswith(name))


def test_an_autoencoder_beside_a_vae(page):
    """The four figures of experiment B."""
    tree = page("vae", "ae")
    assert alts(tree) == [
        "Reconstructions of all runs",
        "Samples of vae",
        *("Latent grid of vae", "Latent grid of ae"),
        "Latent codes of the test split of vae",
        "Latent codes of the test split of ae",
        *("Latent arithmetic of vae", "Latent arithmetic of ae"),
    ]
    text = words(tree)
    assert "ae is left out: AE does not make new images." in text
    assert "Kingma & Welling 2014" in text
    assert "Hinton & Salakhutdinov 2006" in text
    assert "More than two dimensions are laid out by PCA." in text


def test_metrics_with_units_differences_and_the_best(page):
    tree = page("vae", "ae")
    loss = metric(tree, "test/loss")
    assert "nats per image" in loss[0]
    assert "not comparable: the losses are made of different terms" in loss[0]
    assert not any(mark in cell for cell in loss[1:] for mark in "★+-")
    name, vae, ae = metric(tree, "test/reconstruction")
    assert "not comparable" not in name
    values = [float(cell.split()[0]) for cell in (vae, ae)]
    assert ["★" in cell for cell in (vae, ae)] == [v == min(values) for v in values]
    assert float(ae.split()[-1]) == pytest.approx(values[1] - values[0], abs=0.1)
    assert float(metric(tree, "test/loss")[2]) == values[1], "an autoencoder's loss"
    assert metric(tree, "test/kl")[2] == NONE
    assert f"Best test/reconstruction {min(values)}" in words(tree)


def test_a_gan_is_left_out_of_what_it_cannot_do(page):
    tree = page("vae", "gan")
    text = words(tree)
    assert "gan is left out: DCGAN does not reconstruct images." in text
    assert "gan is left out: DCGAN does not encode images." in text
    assert "vae and gan have latent_dim 2: images at the same place are decoded from" in text
    assert {"Samples of gan", "Latent grid of gan"} <= set(alts(tree))
    assert "Latent arithmetic of gan" not in alts(tree)


def test_a_conditional_model_is_told_the_classes(page):
    tree = page("vae", "cvae")
    for kind in ("Samples", "Latent grid", "Latent codes of the test split", "Latent arithmetic"):
        assert f"{kind} of cvae" in alts(tree)
    assert "one is told the condition of an image" in metric(tree, "test/loss")[0]
    assert "No metric names one of these runs the best" in words(tree)
    assert "the levels are not comparable, since one is told the condition" in words(tree)


@pytest.fixture
def elsewhere(place, tmp_path):
    """Copies a run, and says that it was trained on a folder of images."""

    def copy(folder):
        run = shutil.copytree(place("vae"), tmp_path / "other" / "version_0")
        config = yaml.safe_load((run / "config.yaml").read_text())
        arguments = {"root": str(folder), "image_size": 28}
        config["data"] = {"class_path": "lightning_gen.data.ImageFolder", "init_args": arguments}
        (run / "config.yaml").write_text(yaml.safe_dump(config))
        return str(run)

    return copy


def test_a_conditional_model_of_other_classes_is_left_out(page, place, elsewhere, tmp_path):
    for split in ("train", "test"):
        for name in ("cats", "dogs"):
            for number in range(4):
                path = tmp_path / "photos" / split / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("L", (28, 28), 20 * number).save(path)
    other = elsewhere(tmp_path / "photos")
    tree = written(other, place("cvae"), out=tmp_path / "c.html", num_images=4)
    message = "its 10 classes are not the 2 of these images"
    left_out = f"cvae is left out: it is told the class of each image, and {message}"
    assert words(tree).count(left_out) == 2, "reconstructions and codes"
    assert "Latent grid of cvae" in alts(tree)
    assert "No three classes of these data are known" in words(tree)


def test_the_settings_that_differ(page):
    tree = page("vae", "ae")
    rows = {row[0].replace(" ", ""): row[1:] for row in cells(tree, 1)[1:]}
    assert [value.replace(" ", "") for value in rows["model"]] == [
        "lightning_gen.models.VAE",
        "lightning_gen.models.AE",
    ]
    assert rows["model.objective.beta"] == ["1. 0", NONE]
    assert "data.batch_size" not in rows
    shared = {row[0].replace(" ", "") for row in cells(tree, 2)}
    assert {"data.batch_size", "model.latent_dim", "model.likelihood"} <= shared
    marked = {words(mark).replace(" ", "") for mark in tree.iter("mark")}
    assert "lightning_gen.models.AE" in marked
    assert "lightning_gen.models.VAE" not in marked


def test_settings_are_named_as_on_the_command_line():
    one = {"model": {"class_path": "a.B", "init_args": {"part": {"class_path": "C"}, "n": 1}}}
    two = {"model": {"class_path": "a.B", "init_args": {"n": 2, "list": [1, 2]}}, "name": "x"}
    assert compared_settings([one, two]) == {
        "model": ["a.B", "a.B"],
        "model.part": ["C", None],
        "model.n": ["1", "2"],
        "model.list": [None, "[1, 2]"],
    }


def test_the_seed_decides_the_samples_and_torchs_own_state_stays(page, place, tmp_path):
    def samples(tree):
        return next(i.get("src") for i in tree.iter("img") if i.get("alt") == "Samples of vae")

    before = page("vae", "ae"), torch.get_rng_state()
    places = place("vae"), place("ae")
    out = tmp_path / "c.html"
    other, again = (written(*places, out=out, num_images=4, seed=n) for n in (1, 0))
    assert samples(before[0]) == samples(again) != samples(other)
    assert torch.equal(torch.get_rng_state(), before[1])


def test_checkpoints_of_one_run_are_told_apart_and_hostile_names_stay_text(place, tmp_path):
    hostile = "_<script>alert(1)<b>$a{$"
    run = shutil.copytree(place("vae"), tmp_path / hostile / "version_0")
    places = [str(run / "checkpoints" / name) for name in ("best.ckpt", "last.ckpt")]
    tree = written(*places, out=tmp_path / "c.html")
    assert f"Samples of {hostile}/version_0/last" in alts(tree)
    assert "The configurations do not differ." in words(tree)
    assert hostile in words(next(tree.iter("h1"))).replace(" ", "")
    [svg] = [element for element in tree.iter() if element.tag.endswith("svg")]
    assert hostile in words(svg)


def test_a_dataset_that_is_not_at_hand(place, elsewhere, tmp_path):
    run = elsewhere(tmp_path / "gone")
    Path(run, "metrics.csv").unlink()
    tree = written(run, place("ae"), out=tmp_path / "c.html")
    text = words(tree)
    assert metric(tree, "test/loss")[1] == NONE
    assert "The test split of other cannot be read here" in text
    assert "different datasets: other on ImageFolder, ae on MiniFashionMNIST" in text
    assert "ae is left out: there are no images to encode" in text


def test_shapes_that_differ_and_a_run_beside_itself_are_refused(place, tmp_path, monkeypatch):
    places, where = [place("vae"), place("ae")], {"out": tmp_path / "c.html", "device": "cpu"}
    assert_refused("vae/version_0/best stands there twice", compare, *places[:1] * 2, **where)
    shapes = iter([(1, 28, 28), (1, 64, 64)] * 2)
    monkeypatch.setattr(FinishedRun, "image_shape", property(lambda run: next(shapes)))
    assert_refused("one shape, and vae has .*Compare runs of one", compare, *places, **where)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_in_a_browser(page, tmp_path):
    page("vae", "ae")
    assert max(Browser(tmp_path).overflow(page.files[0], 390, 1280)) <= 0


@pytest.fixture
def seeds(place, tmp_path):
    """Copies of a run that differ by their seeds and their test losses 7, 8 and 12."""

    def copies(name, **model):
        for seed, loss in enumerate((7, 8, 12)):
            run = shutil.copytree(place("vae"), tmp_path / name / f"version_{seed}")
            config = yaml.safe_load((run / "config.yaml").read_text())
            config |= {"seed_everything": seed, "name": name}
            config["model"]["init_args"] |= model
            (run / "config.yaml").write_text(yaml.safe_dump(config))
            environment = json.loads((run / "environment.json").read_text())
            (run / "environment.json").write_text(json.dumps(environment | {"seed": seed}))
            rows = f"epoch,step,val/loss,test/loss\n0,1,5,\n1,2,4,\n2,2,,{loss}\n"
            (run / "metrics.csv").write_text(rows)
            yield str(run)

    return copies


def test_runs_that_differ_by_seed_are_one(seeds, place, tmp_path):
    tree = written(*seeds("small"), place("vae"), out=tmp_path / "c.html")
    assert metric(tree, "test/loss")[1].split()[:3] == ["9.0", "±", "2.6"]
    text = words(tree)
    assert "3 runs that differ by their seeds alone (0, 1, 2); pictures are of the first." in text
    assert alts(tree).count("Samples of small") == 1
    assert "the standard deviation of a single run" in text


def test_a_run_and_its_copy_are_no_two_seeds(seeds, tmp_path):
    one, *_ = seeds("small")
    other = shutil.copytree(one, tmp_path / "copy" / "version_0")
    tree = written(one, str(other), out=tmp_path / "c.html")
    assert {"Samples of small", "Samples of copy"} <= set(alts(tree))


def test_a_table_of_numbers(seeds, place, tmp_path):
    runs = [*seeds("small_&"), *seeds("large", latent_dim=64)]
    out = compare(*runs, out=tmp_path / "t.csv", device="cpu")
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [(row["run"], row["latent_dim"], row["test/loss n"]) for row in rows] == [
        ("small_&", "2", "3"),
        ("large", "64", "3"),
    ]
    assert [float(rows[0][f"test/loss{part}"]) for part in ("", " std")] == [9, 7**0.5]
    assert "val/loss" not in rows[0]
    columns = ("val/loss", "test/loss")
    text = compare(*runs, out=tmp_path / "t.tex", metrics=columns, device="cpu").read_text()
    head, first, *_ = (line for line in text.splitlines() if line.endswith(r" \\"))
    assert head == r"run & latent\_dim & $n$ & val/loss $\downarrow$ & test/loss $\downarrow$ \\"
    assert first == r"small\_\& & 2 & 3 & $4$ & $9.0 \pm 2.6$ \\"
    assert_refused(
        "logged test/los. Did you mean test/loss",
        *(compare, *runs),
        out=tmp_path / "t.tex",
        metrics=("test/los",),
        device="cpu",
    )


def test_a_test_is_of_the_best_checkpoint(place, tmp_path):
    places = [f"{place('vae')}/checkpoints/{name}.ckpt" for name in ("best", "last")]
    out = compare(*places, out=tmp_path / "t.csv", device="cpu")
    best, last = csv.DictReader(out.read_text().splitlines())
    assert (best["test/loss n"], last["test/loss n"]) == ("1", "0")
    assert float(best["test/loss"])
    assert last["test/loss"] == ""


def test_a_chart_of_the_curves(seeds, tmp_path):
    out = compare(*seeds("small"), out=tmp_path / "chart.pdf", device="cpu")
    assert out.read_bytes().startswith(b"%PDF")
    assert_refused(".html, .htm, .csv, .tex", compare, "a", "b", out=tmp_path / "chart.docx")
    page = {"out": tmp_path / "c.html", "metrics": ("test/loss",)}
    assert_refused("columns of a table. Pass --out with .csv or .tex", compare, "a", "b", **page)


def test_folders_of_other_images_are_no_two_seeds(seeds, tmp_path):
    places = [*seeds("small")][:2]
    for name, place in zip("ab", places, strict=True):
        config = yaml.safe_load(Path(place, "config.yaml").read_text())
        config["data"] = {"class_path": "ImageFolder", "init_args": {"root": name}}
        Path(place, "config.yaml").write_text(yaml.safe_dump(config))
    out = compare(*places, out=tmp_path / "t.csv", device="cpu")
    assert len(out.read_text().splitlines()) == 3


def test_a_seed_without_a_metric_is_not_counted(seeds, tmp_path):
    places = [*seeds("small")]
    Path(places[2], "metrics.csv").write_text("epoch,step,val/loss,test/loss\n0,1,nan,\n")
    out = compare(*places, out=tmp_path / "t.csv", metrics=("test/loss", "val/loss"), device="cpu")
    [row] = csv.DictReader(out.read_text().splitlines())
    assert (row["test/loss"], row["test/loss n"], row["val/loss n"]) == ("7.5", "2", "3")
    out = compare(*places, out=tmp_path / "t.tex", metrics=("val/loss",), device="cpu")
    assert "& nan " in out.read_text()
