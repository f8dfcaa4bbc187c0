"""A run from Python is what the command makes, and the same."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import EarlyStopping, EMAWeightAveraging
from lightning.pytorch.loggers import CSVLogger
from torch.optim import SGD, Adam
from torch.utils.data import DataLoader

import lightning_gen as lg
from lightning_gen.errors import InterruptionError
from lightning_gen.parts import parameters
from lightning_gen.training.described import LINKS
from support.command import (
    MINI_DATA,
    SMALL_MODEL,
    TWO_BATCHES,
    assert_whole,
    column,
    only_run,
    rows,
    runs,
)
from support.models import KINDS, SMALL
from support.refusals import assert_refused

SHORT = {
    **{"accelerator": "cpu", "devices": 1, "max_epochs": 1, "log_every_n_steps": 1},
    **{"limit_train_batches": 2, "limit_val_batches": 1, "limit_test_batches": 1},
    "enable_progress_bar": False,
}
QUICK = SHORT | {"default_pictures": False}


def data(**options):
    return lg.data.MiniFashionMNIST(**{"batch_size": 50} | options)


def vae(latent_dim=2, **options):
    return lg.models.VAE(
        (1, 28, 28), latent_dim, architecture=lg.networks.Dense(widths=(8,)), **options
    )


class Own(LightningModule):
    """A model that knows nothing of this project, and keeps its arguments by Lightning's way."""

    def __init__(self, width: int):
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Linear(784, width)

    def training_step(self, batch, batch_idx):
        loss = self.net(batch.images.flatten(1)).square().mean()
        self.log("val/loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        pass

    def configure_optimizers(self):
        return Adam(self.parameters())


class Forgetful(Own):
    """A model that keeps nothing."""

    def __init__(self, width: int = 3):
        super().__init__(width)

    def save_hyperparameters(self, *arguments, **options):
        if arguments:
            super().save_hyperparameters(*arguments, **options)


def test_a_run_of_python_is_one_of_the_command(command, in_tmp):
    """The same files, the same configuration, and, from the same state, the same numbers."""
    command("fit", *SMALL_MODEL, *MINI_DATA, *TWO_BATCHES, "--trainer.log_every_n_steps", "1")
    by_command = only_run("logs")
    seed_everything(0)
    run = lg.fit(vae(), data(), **SHORT)
    assert run.path == in_tmp / "logs/vae_minifashionmnist/version_1"
    assert_whole(run.path)
    for path in by_command.rglob("*"):
        assert (run.path / path.relative_to(by_command)).exists(), path
    first, second = (
        yaml.safe_load((p / "config.yaml").read_text()) for p in (by_command, run.path)
    )
    assert first["trainer"] | {"devices": 1} == second["trainer"]  # of the command it is "1"
    second["trainer"] = first["trainer"]
    assert {key for key in first if first[key] != second[key]} <= {"model", "data"}
    for key in ("model", "data"):  # the parser writes short names where a class has no arguments
        assert first[key]["class_path"] == second[key]["class_path"]
        assert first[key]["init_args"].keys() == second[key]["init_args"].keys()
    assert rows(by_command)[0].keys() == rows(run.path)[0].keys()


def test_what_it_gives_back(in_tmp):
    model = vae()
    run = lg.fit(model, data(), name="my_run", **SHORT)
    assert run.test["loss"] == pytest.approx(column(run.path, "test/loss").popitem()[1])
    assert run.images["samples"].mode == "RGB"
    assert run.model.sample(3).shape == (3, 1, 28, 28)
    assert run.report() == run.path / "report.html"
    assert run.name in run._repr_html_()
    assert 'src="data:image/png' in run._repr_html_()
    assert "VAE" in repr(run)
    batch = data().batch("val", 4)
    assert batch.images.dtype == torch.float32
    assert torch.equal(run.model.encode(batch.images), lg.load("my_run").encode(batch.images))
    assert not any(p.requires_grad for p in lg.load("my_run").parameters())
    assert not run.model.training
    assert all(p.requires_grad for p in model.parameters())
    assert model.trainer is not None


def test_its_model_has_the_best_weights(in_tmp):
    class Worse(Callback):
        """Spoils the model after the first epoch."""

        def on_train_epoch_start(self, trainer, pl_module):
            if trainer.current_epoch == 1:
                torch.nn.init.normal_(pl_module.decoder[-2].weight, std=50)

    model = vae()
    run = lg.fit(
        model, data(), test_after_fit=False, **QUICK | {"max_epochs": 2}, callbacks=Worse()
    )
    assert run.checkpoint.name == "best.ckpt"
    images = data().batch("val", 4).images
    assert torch.equal(run.model.encode(images), lg.load(run.path).encode(images))
    assert not torch.equal(
        run.model.decode(torch.ones(1, 2)), model.eval().decode(torch.ones(1, 2))
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_model(kind, command, in_tmp):
    """Trained from Python, then tested and trained again by the command, from config.yaml."""
    images = data() if "factors" not in parameters(kind) else lg.data.Shapes(batch_size=50)
    links = {name: find(images) for name, find in LINKS.items() if name in parameters(kind)}
    run = lg.fit(kind(**SMALL.get(kind.__name__, {}) | links), images, **QUICK)
    before = run.test
    assert before
    command("test", run.path, "--trainer.enable_progress_bar", "false").done()
    assert run.test.keys() == before.keys()
    command("fit", "--config", run.path / "config.yaml").done()
    assert len(runs("logs")) == 2


def test_verbs_take_it(command, in_tmp):
    run = lg.fit(vae(), data(), name="mine", **QUICK)
    for verb in ("sample", "reconstruct", "traverse", "report"):
        command(verb, "mine").done()
    lg.fit(vae(3), data(), name="other", **QUICK)
    page = lg.compare(run, "other", out=in_tmp / "page.html")
    assert "latent_dim" in page.read_text().replace("<wbr>", "")


def test_going_on_is_exact(command, in_tmp):
    """One run of four epochs; one of two from Python and one from there by the command."""
    made = {}
    for name, epochs in (("whole", 3), ("parts", 1)):
        torch.manual_seed(0)
        made[name] = lg.fit(vae(), data(), name=name, seed=3, **QUICK | {"max_epochs": epochs})
    parts = lg.fit(vae(), data(), name="parts", resume=True, **QUICK | {"max_epochs": 2})
    assert parts.path == in_tmp / "logs/parts/version_0"
    words = ("--config", parts.path / "config.yaml", "--ckpt_path", "last")
    command("fit", *words, "--name", "parts", "--trainer.max_epochs", 3).done()
    weights = [lg.load(name).state_dict() for name in made]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    whole, parted = (column(run.path, "train/loss") for run in made.values())
    assert whole == parted
    assert len(whole) == 6


def refused(match, model, images=None, **options):
    """No run is begun; one line says why."""
    assert_refused(match, lg.fit, model, images or data(), **QUICK | options)


def test_what_a_user_gets_wrong_is_one_line(in_tmp):
    refused(r"take no max_epoch\. Did you mean max_epochs", vae(), max_epoch=3)
    refused(r"made for image_shape \[1, 28, 28\], and CIFAR10 has \[3", vae(), lg.data.CIFAR10())
    refused(r"data is a LightningDataModule.*got DataLoader", vae(), DataLoader([1]))
    refused("there is no run in logs/none", vae(), name="none", resume=True)
    refused("name is used as a folder name", vae(), name="a/b")
    refused(r"trainer: .*accelerator", vae(), accelerator="abacus")
    refused("fast_dev_run keeps nothing", vae(), fast_dev_run=True)
    refused("max_epochs 0 trains nothing", vae(), max_epochs=0)
    refused("callbacks are objects of Callback, got 'Samples'", vae(), callbacks=["Samples"])
    refused("pictures are objects of Picture, got 'Samples'", vae(), pictures=["Samples"])
    for seed in (True, -1, "x", 2**40, 1.5):
        refused("seed is a whole number from 0 to 4294967295, got", vae(), seed=seed)
    for model in (None, lg.models.VAE, torch.nn.Linear(1, 1)):
        refused("model is a LightningModule, such as those", model)
    frozen = vae()
    frozen.freeze()
    refused("VAE is frozen, as a model that was loaded is", frozen)
    run = lg.fit(vae(), data(), name="run", **QUICK)
    again = {"name": "run", "resume": True}
    refused("trained with latent_dim 2, and this run asks for 3", vae(3), **again)
    refused("trained on other data", vae(), data(val_fraction=0.2), **again, max_epochs=2)
    assert runs("logs") == [Path("logs/run/version_0")], "a directory was left behind"
    assert not list(Path("logs").rglob(".*"))
    assert_refused("at least two runs, got 1", lg.compare, run)
    assert_refused("pictures are objects of Picture, got <class", run.draw, lg.pictures.LatentGrid)
    grid = lg.pictures.LatentGrid(steps=3)
    assert_refused("split is one of train, val, test, got 'foo'", run.draw, grid, split="foo")


def test_a_run_without_checkpoints_stays_as_it_is(in_tmp):
    run = lg.fit(vae(), data(), name="run", enable_checkpointing=False, **QUICK)
    before = (run.path / "metrics.csv").read_bytes()
    assert run.model.sample(2).shape == (2, 1, 28, 28)
    refused(r"keeps no checkpoints.*cannot go on", vae(), name="run", resume=True)
    assert (run.path / "metrics.csv").read_bytes() == before


def test_averaged_weights_go_on_with_their_callback(in_tmp):
    average = {"callbacks": EMAWeightAveraging(decay=0.5)}
    lg.fit(vae(), data(), name="run", **QUICK, **average)
    longer = {"max_epochs": 2, "name": "run", "resume": True}
    refused("trained with a callback that averages weights, and none", vae(), **longer)
    run = lg.fit(vae(), data(), **QUICK | longer | average)
    images = data().batch("val", 3).images
    assert torch.equal(run.model.encode(images), lg.load("run").encode(images))


def test_a_run_in_the_home_directory_and_another_working_directory(in_tmp, monkeypatch):
    monkeypatch.setenv("HOME", str(in_tmp / "home"))
    run = lg.fit(vae(), data(), name="run", default_root_dir="~/runs", **QUICK)
    assert {path.name for path in in_tmp.iterdir()} == {"home"}
    assert_whole(in_tmp / "home" / "runs" / "run" / "version_0", pictures=False)
    monkeypatch.chdir(in_tmp / "home")
    assert run.test["loss"] > 0
    assert run.report().is_file()
    assert run.report("own.html") == Path("own.html")
    shutil.rmtree(run.path)
    assert "VAE" in run._repr_html_(), "a notebook shows what there is"


def test_the_seed_is_that_of_the_call_or_of_lightning(in_tmp):
    def seed(**options):
        run = lg.fit(vae(), data(), **options, **QUICK)
        return yaml.safe_load((run.path / "config.yaml").read_text())["seed_everything"]

    assert [seed(), seed(seed=5), seed()] == [0, 5, 0]
    seed_everything(7)
    assert seed() == 7


def test_callbacks_that_every_run_has_are_there_once(in_tmp):
    model, images = vae(), data()
    callbacks = lg.default_callbacks(model, images)
    run = lg.fit(model, images, callbacks=callbacks, **QUICK)
    assert_whole(run.path)


def test_what_python_alone_can_make_is_named(in_tmp, caplog):
    """Objects have no form in a file; the run is made with them and its file says what it lacks."""
    watch = EarlyStopping("val/loss")
    model = vae(optimizer=partial(SGD, lr=1e-3))
    run = lg.fit(model, data(), callbacks=[watch], **QUICK)
    assert watch.best_score < torch.inf
    config = (run.path / "config.yaml").read_text()
    assert "without the callbacks that Python made" in config.partition("\n")[0]
    assert "config.yaml cannot hold callbacks" in caplog.text
    assert yaml.safe_load(config)["model"]["init_args"]["optimizer"]["init_args"]["lr"] == 1e-3


def test_pictures_of_ones_choice_are_drawn_and_kept_in_the_configuration(command, in_tmp):
    grid = lg.pictures.LatentGrid(steps=3, num_images=20)
    run = lg.fit(vae(), data(), name="chosen", pictures=grid, **QUICK)
    assert [*run.images] == ["latent_grid"]
    config = run.path / "config.yaml"
    [kept] = yaml.safe_load(config.read_text())["pictures"]
    assert kept["class_path"] == "lightning_gen.pictures.LatentGrid"
    command("fit", "--config", config, "--name", "again").done()
    again = in_tmp / "logs" / "again" / "version_0"
    same = [next(each.glob("images/latent_grid/*.png")) for each in (run.path, again)]
    assert same[0].read_bytes() == same[1].read_bytes()
    assert run.draw(grid).size == run.images["latent_grid"].size
    page = run.draw(lg.pictures.LatentScatter(num_images=50))
    assert page.size[0] > 400


def test_a_model_of_ones_own(in_tmp, caplog):
    """What it keeps by Lightning's way is enough to load it; what it does not is told."""
    run = lg.fit(Own(3), data(), **QUICK)
    assert "Own has no test_step: nothing is tested" in caplog.text
    assert run.model.net.weight.shape == (3, 784)
    assert lg.load(run.path, allow=Own.__module__).net.weight.shape == (3, 784)
    caplog.clear()
    run = lg.fit(Forgetful(3), data(), **QUICK)
    assert "Forgetful does not keep its width: the run can be used here, and not" in caplog.text
    assert run.model.net.weight.shape == (3, 784)


def test_a_signal_saves(in_tmp):
    class Impatient(Callback):
        def on_train_batch_start(self, trainer, *_):
            if trainer.global_step == 3:
                os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    longer = QUICK | {"limit_train_batches": 20}
    with pytest.raises(InterruptionError, match=r"SIGTERM ended the run after step 4.*resume=True"):
        lg.fit(vae(), data(), name="run", callbacks=Impatient(), **longer)
    assert signal.getsignal(signal.SIGTERM) == before
    run = lg.fit(vae(), data(), name="run", resume=True, **longer)
    assert list(column(run.path, "train/loss")) == [*range(20)]


@pytest.mark.filterwarnings("ignore:The dirpath has changed")  # a new version for each trainer
def test_a_trainer_of_ones_own(in_tmp):
    model, images = vae(), data()
    options = {k: v for k, v in SHORT.items() if k != "enable_progress_bar"}
    quiet = {"enable_progress_bar": False, "enable_model_summary": False}
    for epochs, ckpt_path in ((1, None), (2, "lightning_logs/version_1/checkpoints/last.ckpt")):
        trainer = Trainer(
            **options | quiet | {"max_epochs": epochs},
            callbacks=lg.default_callbacks(model, images),
            logger=CSVLogger(in_tmp, version=epochs),
        )
        trainer.fit(model, images, ckpt_path=ckpt_path, weights_only=True)
    first, second = (Path("lightning_logs") / f"version_{number}" for number in (1, 2))
    for folder in (first, second):
        assert {path.name for path in folder.rglob("*.ckpt")} == {"best.ckpt", "last.ckpt"}
        assert list(folder.glob("images/samples/*.png"))
    assert list(column(second, "train/loss")) == [2, 3]
    assert lg.load(second / "checkpoints" / "best.ckpt").sample(2).shape == (2, 1, 28, 28)


SCRIPT = """
import os
from pathlib import Path

import lightning_gen as lg

if __name__ == "__main__":
    data = lg.data.MiniFashionMNIST(batch_size=50)
    for name in ("first", "second"):
        model = lg.models.VAE(data.image_shape, 2, lg.networks.Dense(widths=(8,)))
        run = lg.fit(model, data, name=name, strategy="ddp", num_nodes=1, **{options})
        rank = os.environ.get("LOCAL_RANK", "0")
        seen = f"{{run.path.relative_to(Path.cwd())}} {{run.test}}"
        Path(f"{{name}}_{{rank}}.seen").write_text(seen)
"""


def test_two_processes(in_tmp):
    """A script that trains twice by two processes, which Lightning starts."""
    Path("script.py").write_text(textwrap.dedent(SCRIPT.format(options=QUICK | {"devices": 2})))
    answer = subprocess.run(
        [sys.executable, "script.py"], capture_output=True, text=True, timeout=300, check=False
    )
    assert answer.returncode == 0, answer.stderr
    for name in ("first", "second"):
        texts = [Path(f"{name}_{rank}.seen").read_text() for rank in (0, 1)]
        assert texts[0] == texts[1]
        assert texts[0].startswith(f"logs/{name}/version_0 {{'kl'")
    for run in runs("logs"):
        assert_whole(run, pictures=False)
