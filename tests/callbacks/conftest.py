import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger
from PIL import Image

from lightning_gen.data import MiniFashionMNIST


@pytest.fixture
def trainer(tmp_path):
    """Builds a trainer for short runs below ``tmp_path``."""

    def build(*callbacks, **arguments):
        defaults = {
            "accelerator": "cpu",
            "callbacks": list(callbacks),
            "default_root_dir": tmp_path,
            "enable_checkpointing": False,
            "enable_model_summary": False,
            "enable_progress_bar": False,
            "limit_train_batches": 2,
            "limit_val_batches": 2,
            "log_every_n_steps": 1,
            "logger": CSVLogger(tmp_path, name="run", version=""),
            "max_epochs": 1,
        }
        return Trainer(**defaults | arguments)

    return build


@pytest.fixture(scope="session")
def mini():
    """The data module with small batches, already loaded."""
    data = MiniFashionMNIST(batch_size=20)
    data.setup("fit")
    return data


@pytest.fixture
def first(mini):
    """A batch of the first images of a split, in [0, 1]."""

    def read(count, split="val"):
        batch = mini.splits[split][torch.arange(count)]
        return batch._replace(images=batch.images.float() / 255)

    return read


@pytest.fixture
def pictures(tmp_path):
    """The pictures of a callback in the run below ``tmp_path``, by their step."""

    def read(name):
        files = sorted((tmp_path / "run" / "images" / name).iterdir())
        return {int(file.stem): np.asarray(Image.open(file)) for file in files}

    return read
