import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from PIL import Image

from lightning_gen.data import MiniFashionMNIST
from support.models import trainer_of


@pytest.fixture
def trainer(tmp_path):
    """Builds a trainer for short runs below ``tmp_path``."""

    def build(*callbacks, **arguments):
        logger = CSVLogger(tmp_path, name="run", version="")
        limits = {"limit_train_batches": 2, "limit_val_batches": 2}
        defaults = {"default_root_dir": tmp_path, "logger": logger} | limits
        return trainer_of(*callbacks, **defaults | arguments)

    return build


@pytest.fixture(scope="session")
def mini():
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
