"""Two processes with half of a batch each do what one does with the whole."""

import os
import sys

import pytest
import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import distributed

from lightning_gen.cli import main
from support.command import rows
from support.processes import IMPORTED
from support.slurm import free_ports

STEPS = (
    *("--trainer.limit_train_batches", "10", "--trainer.max_epochs", "2"),
    *("--trainer.accelerator", "cpu", "--default_pictures", "false", "--test_after_fit", "false"),
    *("--trainer.enable_progress_bar", "false", "--trainer.log_every_n_steps", "1"),
    *("--data", "MiniFashionMNIST", "--data.val_fraction", "0.0333"),  # 333 images
)
SGD = ("--model.optimizer", "torch.optim.SGD", "--model.optimizer.lr", "1e-4")
DENSE = ("--model.architecture", "Dense", "--model.architecture.widths", "[16]")
MODELS = {
    "VAE": ("VAE", *DENSE, *SGD, "--data.binarize", "dynamic"),
    "IWAE": ("IWAE", *DENSE, *SGD),
    "denoising AE": ("AE", *DENSE, *SGD, "--model.corruption", "GaussianNoise"),
    "DCGAN": (
        *("DCGAN", "--model.architecture.widths", "[8]", "--model.penalty", "GradientPenalty"),
        *("--model.objective", "Wasserstein", "--model.architecture.norm_discriminator", "false"),
        *("--model.architecture.norm_start", "false", *SGD),
        *("--model.discriminator_optimizer", "torch.optim.SGD"),
        *("--model.discriminator_optimizer.lr", "1e-4"),
    ),
    "CGAN": (
        *("CGAN", "--model.architecture.widths", "[8]", "--model.architecture.norm_start", "false"),
        *("--model.architecture.norm_discriminator", "false", "--model.augment", "DiffAugment"),
        *("--model.objective", "Relativistic", "--model.penalty", "R1R2", *SGD),
        *("--model.penalty.every", "2", "--model.discriminator_optimizer", "torch.optim.SGD"),
        *("--model.discriminator_optimizer.lr", "1e-4"),
    ),
}


def fit(words, folder, rank=0, world=1, port=0):
    """Train in a process of its own, as torchrun would start it."""
    os.chdir(folder)
    if world > 1:
        os.environ |= {
            **{"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)},
            **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GROUP_RANK": "0"},
            **{"TORCHELASTIC_RUN_ID": "two", "LOCAL_WORLD_SIZE": str(world)},
        }
        rank_zero_only.rank = rank  # read of the variables when Lightning was imported
        words = [*words, "--trainer.strategy", "ddp", "--trainer.devices", str(world)]
    sys.argv = ["lightning-gen", *words]
    code = main()
    assert not distributed.is_initialized(), "gloo's threads abort some processes at their end"
    sys.exit(code)


def trained(words, folder, world):
    """The final checkpoint and the metrics of a training on so many processes."""
    folder.mkdir()
    (port,) = free_ports(1)
    given = [(words, folder, rank, world, port) for rank in range(world)]
    processes = [IMPORTED.Process(target=fit, args=arguments) for arguments in given]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        process.kill()
    assert [process.exitcode for process in processes] == [0] * world
    (directory,) = (folder / "logs" / "run").iterdir()
    weights = torch.load(directory / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    return weights, rows(directory)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_half_of_a_batch_each_gives_the_weights_of_the_whole(name, tmp_path):
    model, *words = MODELS[name]
    words = ["fit", "--model", model, *STEPS, *words, "--name", "run", "--data.batch_size"]
    whole, logged = trained([*words, "32"], tmp_path / "one", 1)
    halves, logged_by_two = trained([*words, "16"], tmp_path / "two", 2)
    for key in whole:
        if key.endswith("_extra_state"):  # the conditions of the images that a process has seen
            continue
        torch.testing.assert_close(halves[key], whole[key], rtol=1e-4, atol=1e-6, msg=key)
    one, two = logged[-1], logged_by_two[-1]
    assert one.keys() == two.keys()
    for key in one:
        if key.startswith("val/"):  # 333 images, of which one process has one more
            # At the end of the split one image draws other noise; a critic's scores are about 0.
            assert float(two[key]) == pytest.approx(float(one[key]), rel=1e-4, abs=1e-4), key
