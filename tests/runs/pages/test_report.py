"""``report``: one self-contained HTML file."""

import json
import math
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from lightning_gen.callbacks.evaluation import Card
from lightning_gen.pictures.picture import snake_case
from lightning_gen.runs.pages import html
from lightning_gen.runs.pages.html import Exhibit
from lightning_gen.runs.pages.report import report
from lightning_gen.training.default_callbacks import CHARTS, PICTURES
from lightning_gen.training.scores import write_scores
from support.pages import Browser, cells, parsed, words
from support.refusals import assert_refused


@pytest.fixture
def run(finished, tmp_path):
    """A copy of a finished run without pictures."""
    return shutil.copytree(finished, tmp_path / "logs" / "tiny_vae" / "version_3")


def draw(run, kind, step, pixels=None):
    path = run / "images" / kind / f"{step:08d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = np.full((60, 200, 3), 246, np.uint8)
    Image.fromarray(plain if pixels is None else pixels).save(path)
    return path


def page(run, **options):
    return parsed(report(run, **options))


@pytest.fixture(scope="module")
def plain(finished, tmp_path_factory):
    """The page of a run that nothing was changed in, as a tree; and the run."""
    run = shutil.copytree(finished, tmp_path_factory.mktemp("plain") / "tiny_vae" / "version_3")
    draw(run, "samples", 2)
    return page(run), run


def test_the_whole_page(plain):
    tree, run = plain
    text = words(tree)
    assert words(next(tree.iter("h1"))) == "tiny_ vae/ version_ 3"
    for said in ("Kingma & Welling 2014", "MiniFashionMNIST", "latent dim 2", "Dense", "Seed 0"):
        assert said in text
    assert "1 of 1 epochs, 2 steps" in text
    assert "lightning-gen fit --config" in text
    assert "class_path: lightning_gen.models.VAE" in words(next(tree.iter("pre")))
    assert Exhibit.of("samples").text in text
    assert "Scores" not in text
    assert not list(run.rglob(".*"))
    page_bytes = (run / "report.html").read_bytes()
    assert report(run).read_bytes() == page_bytes, "a report is the same each time"


def test_metrics_have_units_and_every_stage(plain):
    """The test column comes first, which a phone shows; the headline is the test loss."""
    tree, run = plain
    head, *rows = cells(tree)
    assert [word.split()[0] for word in head] == [
        *("Metric", "Test", "Validation", "Validation", "Training")
    ]
    loss = next(row for row in rows if row[0].startswith("loss"))
    assert loss[0] == "loss nats per image"
    assert all(float(cell) > 0 for cell in loss[1:])
    metrics = (run / "metrics.csv").read_text().splitlines()
    columns, last = metrics[0].split(","), metrics[-1].split(",")
    value = float(last[columns.index("test/loss")])
    assert f"Test loss {value:,.5g} nats per image" in words(tree)


def test_curves_are_text_and_scale(plain):
    svgs = [element for element in plain[0].iter() if element.tag.endswith("svg")]
    assert len(svgs) >= 3
    for svg in svgs:
        assert svg.get("viewBox")
        assert svg.get("width") is None
        assert "step" in words(svg)


def test_scores_stand_with_their_errors_and_extractor(run):
    extractor = {"extractor": {"name": "inception", "sha256": "6726825d" + 56 * "0"}}
    cards = {
        "psnr": Card(20.126, 0.021, "dB", 10_000, "test", 0, 1.0),
        "fid": Card(48.31, math.nan, "none", 5_000, "test", 0, 9.0, extractor),
        "kl_dimension/00": Card(1.0, math.nan, "nats", 100, "test", 0, 1.0),
    }
    write_scores(run, cards, {})
    text = words(page(run))
    for said in ("psnr dB 20.126 ± 0.021 10,000 test", "fid 48.31 5,000 test inception, 6726825d"):
        assert said in text
    assert "kl_dimension" not in text


def test_a_copied_run_says_no_time_that_is_wrong(run, plain):
    assert " s from the start to the last checkpoint" in words(plain[0])
    os.utime(run / "config.yaml", (2e9, 2e9))
    assert "from the start" not in words(page(run))


@pytest.mark.parametrize("missing", ["metrics.csv", "environment.json", "checkpoints"])
def test_a_run_that_lacks_a_part(run, missing):
    path = run / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    text = words(page(run))
    assert ("No result yet" in text) == (missing == "metrics.csv")
    assert "images/ holds no pictures" in text


def write_metrics(run, columns, rows):
    lines = [",".join(["epoch", "step", *columns])]
    lines += [",".join(map(str, [step, step, *row])) for step, row in enumerate(rows)]
    (run / "metrics.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("columns", "rows", "said", "unsaid"),
    [
        (["train/loss"], [[5], [4]], ["No val/loss was logged"], "Overfitting"),
        (
            ["train/loss", "val/loss"],
            [[5, 6], ["nan", "inf"]],
            ["at step 1", "Best validation loss 6", "1 to look at"],
            "nothing stands out",
        ),
        (
            ["train/generator_loss", "samples/diversity"],
            [[1, 0.5], [2, 0.75]],
            ["Sample diversity 0.75 where real images have 1"],
            "Best epoch",
        ),
    ],
    ids=["without validation", "not finite", "a GAN"],
)
def test_what_was_logged_decides_what_is_said(run, columns, rows, said, unsaid):
    write_metrics(run, columns, rows)
    text = words(page(run))
    assert all(each in text for each in said)
    assert unsaid not in text


def test_the_latest_picture_and_two_earlier_ones(run):
    """Drawn curves take the place of their pictures; one that is broken is named."""
    for step in (1, 2, 3, 4, 5):
        draw(run, "samples", step)
    draw(run, "of_my_own", 7)
    draw(run, "loss_curves", 2)
    draw(run, "traversal", 2).write_bytes(b"no picture")
    alts = ["Samples, step 5", "Samples, step 1", "Samples, step 3", "Of my own, step 7"]
    tree = page(run)
    assert [image.get("alt") for image in tree.iter("img")] == alts
    assert "Cannot be read: traversal/00000002.png" in words(tree)
    (run / "metrics.csv").unlink()
    assert "Loss curves, step 2" in [image.get("alt") for image in page(run).iter("img")]


def test_every_picture_has_a_caption():
    drawn = [kind.__name__ for kind in (*PICTURES, *CHARTS)]
    assert len(drawn) >= 12
    for name in drawn:
        assert Exhibit.of(snake_case(name)).text, name


def test_large_pictures_are_made_smaller(run, monkeypatch):
    monkeypatch.setattr(html, "LIMIT", 1_000_000)
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), np.uint8)
    for kind in ("samples", "reconstructions"):
        draw(run, kind, 1, noise)
    tree = page(run)
    assert 200_000 < (run / "report.html").stat().st_size < 1_000_000
    assert all("image/webp" in image.get("src")[:20] for image in tree.iter("img"))


def test_many_steps_stay_a_small_file(run):
    rng = np.random.default_rng(0)
    write_metrics(run, ["train/loss", "train/kl"], rng.random((20_000, 2)))
    page(run)
    assert (run / "report.html").stat().st_size < 500_000


HOSTILE = '_<script>alert(1)</script>&"\' $a{$ id="'


def test_a_model_of_the_users_own_is_not_taken_for_one_of_ours(run):
    text = (run / "config.yaml").read_text().replace("lightning_gen.models.VAE", "my_file.VAE")
    (run / "config.yaml").write_text(text)
    page_text = words(page(run))
    assert "Kingma" not in page_text
    assert "VAE: latent dim 2" in page_text


def test_hostile_text_stays_text(run):
    no_text = os.fsdecode(b"\xff")
    run = run.rename(run.with_name(HOSTILE.replace("/", "") + no_text))
    environment = {"started": HOSTILE, "devices": [HOSTILE], "packages": {HOSTILE: HOSTILE}}
    (run / "environment.json").write_text(json.dumps(environment))
    config = {"model": {"class_path": f"x.{HOSTILE}"}, "data": HOSTILE, "name": HOSTILE}
    (run / "config.yaml").write_text(json.dumps(config))
    write_metrics(run, [f"train/{HOSTILE}", HOSTILE], [[1, 2]])
    draw(run, HOSTILE.replace("/", ""), 1)
    text = words(page(run))
    assert HOSTILE in text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.yaml", "a: [", "config.yaml is no valid YAML"),
        ("config.yaml", "just words", "holds no keys and values"),
        ("environment.json", "{", "environment.json is broken"),
        ("metrics.csv", "epoch,step,val/loss\n0,1,abc\n", "metrics.csv is no table of numbers"),
        ("metrics.csv", "a,b\n1,2\n", "metrics.csv is no table of numbers"),
    ],
)
def test_a_broken_file_is_named_in_one_line(run, name, content, message):
    (run / name).write_text(content)
    assert_refused(message, report, run)


def test_a_file_that_cannot_be_written(run):
    match = r"cannot be written: .* Pass another file with --out"
    assert_refused(match, report, run, run / "config.yaml" / "report.html")


@pytest.mark.slow
def test_in_a_browser(run, tmp_path):
    for step in (1, 2, 3):
        draw(run, "samples", step, np.zeros((400, 1300, 3), np.uint8))
    browser, path = Browser(tmp_path), report(run)
    assert max(browser.overflow(path, 320, 390, 1280)) <= 0
    wide = tmp_path / "wide.html"
    wide.write_text("<!DOCTYPE html><body><p style='width:500px'>too wide</p></body>")
    assert min(browser.overflow(wide, 390)) > 100, "the measurement sees nothing"
    browser(path, f"--print-to-pdf={tmp_path / 'page.pdf'}")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
