import io

import numpy as np
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger, WandbLogger
from PIL import Image

from lightning_gen.callbacks import Samples
from lightning_gen.callbacks.picture import run_directory
from lightning_gen.figures import image_grid
from support.models import frozen


def expected(model, step):
    """What Samples draws of a model that training does not change."""
    torch.manual_seed(0)
    return image_grid(model.eval().sample(4), f"Samples at step {step}")


def test_the_run_directory_is_that_of_the_first_logger_which_has_one(tmp_path):
    csv = CSVLogger(tmp_path, name="n", version="v")
    wandb = WandbLogger(offline=True, save_dir=tmp_path)
    for loggers, directory in (([csv], "n/v"), ([wandb, csv], "n/v"), ([wandb], "."), (False, ".")):
        trainer = Trainer(default_root_dir=tmp_path, logger=loggers, accelerator="cpu")
        assert run_directory(trainer) == tmp_path / directory


def test_tensorboard_shows_the_picture(trainer, mini, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = frozen()
    logger = TensorBoardLogger(tmp_path, name="tb", version="")
    trainer(Samples(num_images=4), logger=logger).fit(model, mini)
    events = EventAccumulator(logger.log_dir, size_guidance={"images": 0}).Reload()
    [event] = events.Images("images/samples")
    shown = np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))
    assert event.step == 2
    np.testing.assert_array_equal(shown, expected(model, 2))


def test_wandb_shows_the_picture(trainer, mini, tmp_path):
    model = frozen()
    logger = WandbLogger(offline=True, save_dir=tmp_path)
    trainer(Samples(num_images=4), logger=logger).fit(model, mini)
    logger.experiment.finish()
    [file] = tmp_path.glob("wandb/offline-run-*/files/media/images/images/samples*.png")
    np.testing.assert_array_equal(np.asarray(Image.open(file)), expected(model, 2))
