"""The command line with a model that optimises by hand and has no ``val/loss``."""

import pytest
import torch
from lightning.pytorch.strategies import DDPStrategy

from lightning_gen.models import DCGAN
from lightning_gen.networks import DCGANNetworks
from lightning_gen.training.directory import RunDirectory
from lightning_gen.training.trainer import RunTrainer
from support.command import MINI_DATA, NO_PICTURES, TWO_BATCHES, assert_whole, column, only_run

GAN = (
    *("--model", "DCGAN", "--model.latent_dim", "5"),
    *("--model.architecture", "DCGANNetworks", "--model.architecture.widths", "[4,8]"),
)
SMALL_GAN = (*GAN, *MINI_DATA, *TWO_BATCHES, "--trainer.log_every_n_steps", "1")
AVERAGE = (
    *("--trainer.callbacks", "lightning.pytorch.callbacks.EMAWeightAveraging"),
    *("--trainer.callbacks.decay", "0.5"),
)


def test_a_run_by_default(command, tmp_path, caplog):
    answer = command("fit", *SMALL_GAN, "--trainer.enable_progress_bar", "true").done()
    directory = only_run(tmp_path / "logs")
    assert_whole(directory)
    drawn = {path.name for path in (directory / "images").iterdir()}
    assert drawn == {"samples", "loss_curves", "interpolation", "latent_grid", "traversal"}
    assert len(column(directory, "val/frechet_distance[fashion_mnist_classifier]")) == 1
    assert len(column(directory, "samples/diversity")) == 1
    (value,) = column(directory, "test/discriminator_loss").values()
    assert f"Test discriminator_loss {value:.4g}, " in caplog.text
    assert "nats" not in caplog.text + answer.out
    assert "epoch 0, step 2, discriminator " in answer.out
    optimizer = "init_args:\n        lr: 0.0002\n        betas:\n        - 0.5\n        - 0.999\n"
    assert optimizer in (directory / "config.yaml").read_text()


def test_a_run_without_pictures_is_scored_all_the_same_and_fits_no_prior(command, tmp_path):
    command("fit", *SMALL_GAN, *NO_PICTURES).done()
    directory = only_run(tmp_path / "logs")
    assert column(directory, "val/frechet_distance[fashion_mnist_classifier]")
    command("fit-prior", directory).refused("a fitted prior needs a model that encodes, and DCGAN")


def test_the_best_checkpoint_is_the_latest_where_nothing_tells_them_apart(command, tmp_path):
    words = (*SMALL_GAN, *NO_PICTURES, "--trainer.max_epochs", "3")
    assert command("fit", *words, "--trainer.limit_val_batches", "0").code == 0
    directory = RunDirectory(only_run(tmp_path / "logs"))
    for path in (directory.best, directory.last):
        assert torch.load(path, weights_only=True)["global_step"] == 6
    command("predict", directory.path).refused("DCGAN has none")


def test_a_test_evaluates_the_averaged_weights(command, tmp_path, caplog):
    words = ("--trainer.max_epochs", "2", "--model.optimizer.lr", "0.01")
    command("fit", *SMALL_GAN, *NO_PICTURES, *AVERAGE, *words).done()
    directory = only_run(tmp_path / "logs")
    # The last validation and the checkpoint saw the same weights; the raw ones are elsewhere.
    saved = torch.load(RunDirectory(directory).best, weights_only=True)
    raw, average = saved["current_model_state"], saved["state_dict"]
    assert any(not torch.equal(raw[name], average[name]) for name in raw)
    (value,) = column(directory, "test/real_score").values()
    caplog.clear()
    command("test", directory).done()
    assert f"real_score {value:.4g}" in caplog.text


CHANGED = (
    *("--model", "CGAN", "--model.augment", "DiffAugment", "--model.penalty", "R1R2"),
    *("--model.penalty.every", "2", "--model.architecture.norm_discriminator", "false"),
)


@pytest.mark.parametrize("more", [(), CHANGED], ids=["DCGAN", "CGAN"])
def test_an_averaged_run_goes_on_as_if_it_had_never_stopped(more, command, tmp_path):
    words = (*SMALL_GAN, *NO_PICTURES, *AVERAGE, "--model.architecture.dropout", "0.2", *more)
    for name, parts in (("whole", ["3"]), ("parts", ["1", "3"])):
        for epochs in parts:
            again = ("--ckpt_path", "last") if epochs != parts[0] else ()
            length = ("--trainer.max_epochs", epochs, "--name", name)
            command("fit", *words, *length, *again).done()
    ends = [
        torch.load(tmp_path / "logs" / name / "version_0" / "checkpoints" / "last.ckpt")
        for name in ("whole", "parts")
    ]
    for part in ("state_dict", "current_model_state"):
        whole, parts = (end[part] for end in ends)
        assert all(torch.equal(value, parts[name]) for name, value in whole.items())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--trainer.accumulate_grad_batches", "2"), "takes trainer.accumulate_grad_batches 1"),
        (("--trainer.gradient_clip_val", "0.5"), "Set model.clip_norm instead"),
        (("--model.penalty", "R7"), "model.penalty: there is no class R7"),
        (("--model.penalty", "R1"), "model.architecture.norm_discriminator to false"),
        (("--model.lr_scheduler", "torch.optim.lr_scheduler.ReduceLROnPlateau"), "a GAN has none"),
    ],
)
def test_a_mistake_is_one_line(words, message, command):
    command("fit", *SMALL_GAN, *NO_PICTURES, *words).refused(message)


@pytest.mark.parametrize("strategy", ["ddp", "ddp_spawn", DDPStrategy()])
def test_ddp_finds_the_parameters_without_a_gradient(strategy):
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = RunTrainer(accelerator="cpu", devices=2, strategy=strategy, **quiet)
    model = DCGAN((1, 8, 8), 2, DCGANNetworks((4,)))
    model.trainer = trainer
    model.setup("fit")
    assert trainer.strategy._ddp_kwargs["find_unused_parameters"] is True
