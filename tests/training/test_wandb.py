"""What a run holds in Weights & Biases, read back from the files of an offline run."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import wandb
import yaml
from lightning.pytorch.loggers import WandbLogger
from PIL import Image
from wandb.errors import CommError

import lightning_gen as lg
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.training import wandb as shown
from lightning_gen.training.fetched import fetched_run
from support.command import CONF, only_run
from support.kinds import KINDS, fixed
from support.models import trainer_of
from support.refusals import assert_refused
from support.wandb_runs import Held, Server, records

SHORT = {
    **{"accelerator": "cpu", "devices": 1, "max_epochs": 1, "log_every_n_steps": 1},
    **{"limit_train_batches": 2, "limit_val_batches": 1, "enable_progress_bar": False},
    "default_pictures": False,
}
Z = ["z0", "z1"]


def vae():
    return lg.models.VAE((1, 28, 28), 2, architecture=lg.networks.Dense(widths=(8,)))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of Python that W&B has offline, and that went on once."""
    torch.manual_seed(0)
    data = lg.data.MiniFashionMNIST(batch_size=50)
    folder = tmp_path_factory.mktemp("shown")
    for epochs, resume in ((1, False), (2, True)):
        options = {"default_root_dir": str(folder), "name": "small", "resume": resume}
        options |= {"callbacks": [lg.callbacks.ReconstructionQuality(num_images=200)]}
        logger = WandbLogger(project="p", offline=True, notes="mine")
        found = lg.fit(vae(), data, logger=logger, **SHORT | options | {"max_epochs": epochs})
    return found


@pytest.fixture(scope="module")
def held(run, tmp_path_factory):
    """What W&B has of the part that went on."""
    folder = tmp_path_factory.mktemp("held")
    latest = sorted(run.path.glob("wandb/offline-run-*"))[-1]
    records(latest)  # its process writes on for a while
    shutil.copytree(latest, folder / "wandb" / latest.name)
    return Held(folder)


def test_a_logger_of_python_writes_into_the_run_s_directory_and_goes_on_there(run, held):
    names = [path.name for path in run.path.glob("wandb/offline-run-*")]
    assert len(names) == 2
    assert {name.rpartition("-")[2] for name in names} == {held.run.run_id}
    assert (held.run.run_group, held.run.job_type) == ("small", "fit")
    assert (held.run.display_name, held.run.notes) == ("small/version_0", "mine")
    assert [*held.run.tags] == ["VAE", "MiniFashionMNIST"]


def test_what_environment_or_user_has_said_stays(in_tmp, monkeypatch):
    monkeypatch.setenv("WANDB_RUN_GROUP", "theirs")
    logger = WandbLogger(offline=True, save_dir="beside", tags=["own"])
    directory = lg.training.directory.RunDirectory(in_tmp / "named" / "version_3")
    shown.describe_logger(logger, directory, vae(), lg.data.MiniFashionMNIST())
    options = lg._compat.wandb_options(logger)
    assert (options["dir"], options["tags"]) == ("beside", ["own"])
    assert "group" not in options
    assert options["name"] == "named/version_3"
    assert options["notes"].startswith("VAE of 13,396 parameters on MiniFashionMNIST, in ")


def test_metrics_are_defined(run, held):
    for name in ("train/loss", "val/loss", "test/loss"):
        assert held.metrics[name].step_metric == "trainer/global_step"
        assert held.metrics[name].options.step_sync
        assert held.metrics[name].summary.min is (name != "test/loss")
        assert not held.metrics[name].summary.max
    assert "epoch" in held.metrics
    assert not held.metrics["val/kl"].summary.min
    assert held.summary["test/loss"] == pytest.approx(run.test["loss"])
    assert held.summary["val/loss"]["min"] == pytest.approx(min(held.history["val/loss"]))
    assert held.config["quantities"]["loss"]["unit"] == "nats per image"
    assert held.config["quantities"]["loss"]["better"] == "lower"
    assert held.config["model"] == yaml.safe_load((run.path / "config.yaml").read_text())["model"]


def test_a_table_has_the_images_of_the_test_as_the_best_weights_see_them(run, held):
    table = held.tables()["evaluation/test"]
    assert table["columns"] == ["kind", "image", "reconstruction", "label", *Z]
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    kinds = [row["kind"] for row in rows]
    assert kinds == ["test"] * shown.ROWS + ["sample"] * shown.SAMPLES
    data = lg.data.MiniFashionMNIST()
    batch = data.batch("test", shown.ROWS)
    assert [r["label"] for r in rows[:128]] == [data.info.class_names[n] for n in batch.labels]
    with torch.no_grad():
        codes, again = run.model.encode(batch.images), run.model.reconstruct(batch.images)
        decoded = run.model.decode(torch.tensor([[row[z] for z in Z] for row in rows[128:]]))
    np.testing.assert_allclose([[row[z] for z in Z] for row in rows[:128]], codes, atol=1e-5)
    check_images([row["image"] for row in rows[:128]], batch.images)
    check_images([row["reconstruction"] for row in rows[:128]], again)
    check_images([row["image"] for row in rows[128:]], decoded)
    assert {row["reconstruction"] for row in rows[128:]} == {None}
    assert {row[0] for row in held.tables()["evaluation/validation"]["data"]} == {
        "validation",
        "sample",
    }


def check_images(cells, images):
    """The files that cells of a table name are these images, not black."""
    files = [np.asarray(Image.open(cell["file"])) for cell in cells]
    np.testing.assert_allclose(np.stack(files) / 255, images[:, 0], atol=0.6 / 255)
    assert min(pixels.max() for pixels in files) > 20


def test_scores_have_their_errors(run, held):
    cards = json.loads((run.path / "metrics.json").read_text())["test"]
    table = held.tables()["scores/test"]
    assert table["columns"] == shown.SCORED
    for name, value, error, unit, count, seed in table["data"]:
        card = cards[name]
        assert (value, error, count, seed) == (
            *(card["value"], card["standard_error"], card["num_images"], card["seed"]),
        )
        assert unit == card["unit"]
        assert held.summary[f"test/{name}_standard_error"] == error > 0
    assert {row[0] for row in table["data"]} == {*cards}


def test_the_dataset_is_a_reference_with_its_hash_and_counts(run, held):
    (dataset,) = (each for each in held.artifacts if each.type == "dataset")
    entries = {entry.path: entry for entry in dataset.manifest.contents}
    about = torch.load(run.checkpoint, weights_only=True)["MiniFashionMNIST"]["trained_on"]
    assert dataset.name == "MiniFashionMNIST"
    assert dataset.use_after_commit
    assert json.loads(dataset.metadata)["images"] == {"train": 9000, "val": 1000, "test": 2000}
    assert entries["images"].digest == about["digest of the images"]
    assert entries["images"].ref == "lightning-gen:MiniFashionMNIST"
    assert not entries["images"].local_path
    assert {*entries} == {"images", "dataset.json"}


def files_of(artifact, folder):
    """The files of an artifact of an offline run, as they would be downloaded."""
    for entry in artifact.manifest.contents:
        place = folder / entry.path
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(entry.local_path, place)  # W&B keeps them read-only
    return folder


@pytest.fixture
def api(held, tmp_path, monkeypatch):
    """W&B's Api with the two artifacts of the run, and one of a checkpoint alone."""
    models = [each for each in held.artifacts if each.type == "model"]
    kept = {alias: each for each in models for alias in each.aliases}
    assert {*kept} == {"best", "last", "latest"}
    assert kept["latest"] is kept["best"]

    class Found:
        entity, project = "me", "p"

        def __init__(self, name):
            place, _, self.name = name.rpartition("/")
            self.version = self.name.partition(":")[2]
            if place != "me/p" or self.version not in {*kept, "alone"}:
                raise CommError(f"artifact {name} not found")
            contents = kept.get(self.version, kept["best"]).manifest.contents
            files = [entry.path for entry in contents]
            alone = [name for name in files if name != "config.yaml"]
            self.manifest = SimpleNamespace(entries=alone if self.version == "alone" else files)

        def download(self, root):
            files_of(kept.get(self.version, kept["best"]), Path(root))

    class Api:
        artifact = staticmethod(Found)

    monkeypatch.setattr("wandb.Api", Api)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def test_a_model_of_wandb_is_loaded(run, api, tmp_path):
    best = lg.load("wandb:me/p/small:best")
    for name, value in run.model.state_dict().items():
        torch.testing.assert_close(best.state_dict()[name], value, rtol=0, atol=0)
    opened = FinishedRun.open("wandb:me/p/small:best")
    assert opened.path == Path("logs/me--p--small/best")
    assert opened.config["model"] == run.config["model"]
    assert opened.test == run.test
    assert FinishedRun.open("wandb:me/p/small:last").checkpoint.name == "last.ckpt"
    assert FinishedRun.open("wandb:me/p/small:alone").checkpoint.name == "best.ckpt"
    assert_refused("not found.*Log in with `wandb login`", lg.load, "wandb:me/p/small:v9")
    assert fetched_run("some/run") == Path("some/run")


def test_an_artifact_writes_inside_of_itself(api, tmp_path, monkeypatch):
    hostile = SimpleNamespace(entries=["config.yaml", "../../../away.ckpt"])
    artifact = wandb.Api().artifact("me/p/small:best")
    artifact.manifest = hostile
    monkeypatch.setattr(wandb.Api, "artifact", lambda api, name: artifact)
    assert_refused("outside of itself, .*away.ckpt", fetched_run, "wandb:me/p/small:best")
    assert not (tmp_path / "cache").exists()


def test_a_logger_serves_one_training(in_tmp):
    logger = WandbLogger(offline=True)
    data = lg.data.MiniFashionMNIST()
    lg.fit(vae(), data, name="a", logger=logger, **SHORT)
    again = {"name": "b", "logger": logger, **SHORT}
    assert_refused("a WandbLogger serves one training", lg.fit, vae(), data, **again)


def test_every_verb_takes_a_model_of_wandb(api, command, tmp_path):
    place = "wandb:me/p/small:best"
    command("sample", place, "--out", "new.png", "--device", "cpu").done()
    assert (tmp_path / "new.png").stat().st_size > 1000
    command("report", place, "--out", "report.html").done()
    tested = command("test", place, "--trainer.accelerator", "cpu")
    assert tested.code == 0, tested.err
    command("encode", "wandb:me/p/other/small:v9").refused("wandb:entity/project/name:alias")


@pytest.mark.parametrize("kind", KINDS)
def test_every_model_has_rows_of_what_it_is_able_to(kind, monkeypatch):
    monkeypatch.setattr(shown, "ROWS", 6)
    monkeypatch.setattr(shown, "SAMPLES", 4)
    data, model = lg.data.MiniFashionMNIST(batch_size=5), fixed(kind)
    trainer = trainer_of(limit_train_batches=1, limit_val_batches=2, num_sanity_val_steps=0)
    trainer.fit(model, data)
    with torch.no_grad():
        columns, rows = shown.evaluated(trainer, model.eval(), "validation")
    cells = {name: [row[n] for row in rows] for n, name in enumerate(columns)}
    able = lg.contracts.able
    images = able(model, (lg.contracts.Encodes | lg.contracts.Reconstructs,))
    samples = able(model, (lg.contracts.SamplesImages,))
    assert cells["kind"] == ["validation"] * 6 * images + ["sample"] * 4 * samples
    assert all(image is not None for image in cells["image"])
    codes = [name for name in columns if name.startswith("z")]
    assert len(codes) <= shown.NUMBERS
    for name in codes:
        assert {type(value) for value in cells[name]} <= {float, type(None)}


@pytest.mark.slow
def test_the_quickstart(command, tmp_path):
    """All pictures of it, as its run has them."""
    words = ("--trainer.logger", CONF / "logger/wandb.yaml", "--trainer.logger.offline", "true")
    done = command("fit", "--config", "quickstart", *words, "--trainer.max_epochs", "2")
    assert done.code == 0, done.err
    directory = only_run("logs")
    held = Held(directory)
    assert {each.type for each in held.artifacts} == {"dataset", "model", "run_table"}
    kinds = {path.parent.name for path in (directory / "images").glob("*/*.png")}
    media = directory.glob("wandb/offline-run-*/files/media/images/images/*.png")
    pictures = {path: np.asarray(Image.open(path)) for path in media}
    assert len(kinds) > 5
    assert {path.name.rsplit("_", 2)[0] for path in pictures} == kinds
    assert all(pixels.std() > 5 for pixels in pictures.values())
    assert {*held.tables()} == {"evaluation/validation", "evaluation/test"}
    with Server() as server:  # and W&B's own program reads it
        variables = {"WANDB_BASE_URL": server.address, "WANDB_API_KEY": "0" * 40}
        words = [Path(sys.executable).with_name("wandb"), "sync", *directory.glob("wandb/off*")]
        others = {k: v for k, v in os.environ.items() if k != "WANDB_SERVICE"}
        subprocess.run(words, env=others | variables, check=True, timeout=120)
    assert server.asked.count("CreateArtifact") == len(held.artifacts) == 5
    assert server.asked.count("UseArtifact") == 1
