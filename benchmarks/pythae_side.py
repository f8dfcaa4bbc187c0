"""A training with pythae that takes turns, an epoch each, for ``against_pythae.py``.

It runs in pythae's environment and knows nothing of lightning_gen: the networks come as modules of
torch, the images as arrays. All that the file of settings does not name stays as pythae has it,
progress bar included.

    python benchmarks/pythae_side.py SETTINGS.json
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pythae.models import VAE, VQVAE, VAEConfig, VQVAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.pipelines import TrainingPipeline
from pythae.trainers import BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch import Tensor, nn
from turns import Turn


class GaussianEncoder(BaseEncoder):
    """Mean and log-variance, the two halves of a network's output."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> ModelOutput:
        """The posterior of each image."""
        mean, log_var = self.network(x).chunk(2, dim=1)
        return ModelOutput(embedding=mean, log_covariance=log_var)


class MapEncoder(BaseEncoder):
    """The feature map that is quantised."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> ModelOutput:
        """The map of each image."""
        return ModelOutput(embedding=self.network(x))


class Decoder(BaseDecoder):
    """Pixels in [0, 1], which pythae's losses are of."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, z: Tensor) -> ModelOutput:
        """The image of each code."""
        return ModelOutput(reconstruction=torch.sigmoid(self.network(z)))


class TakesTurns(TrainingCallback):
    """Waits before each epoch, and says after it what it took."""

    def __init__(self) -> None:
        self.turn = Turn()

    def on_train_begin(self, training_config: Any, **kwargs: Any) -> None:
        """Ready."""
        self.turn.over()
        self.begun = now()

    def on_train_step_begin(self, training_config: Any, **kwargs: Any) -> None:
        """What pythae calls a step is the training of an epoch."""
        self.started = now()
        self.missing = len(kwargs["train_loader"])

    def on_train_step_end(self, training_config: Any, **kwargs: Any) -> None:
        """Note the end of the last batch."""
        self.missing -= 1
        if self.missing == 0:
            self.trained = now()

    def on_log(self, training_config: Any, logs: Any, **kwargs: Any) -> None:
        """The last that pythae does in an epoch; the turn of another."""
        self.turn.over(training=self.trained - self.started, whole=now() - self.begun)
        self.begun = now()


def now() -> float:
    """Seconds, after all that a GPU was asked to do."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def build(settings: dict[str, Any], networks: dict[str, nn.Module]) -> VAE | VQVAE:
    """A model of pythae around our networks."""
    shape = tuple(settings["image_shape"])
    decoder = Decoder(networks["decoder"])
    if settings["codes"] is None:
        config = VAEConfig(
            input_dim=shape, latent_dim=settings["latent_dim"], reconstruction_loss="bce"
        )
        return VAE(config, GaussianEncoder(networks["encoder"]), decoder)
    config = VQVAEConfig(
        input_dim=shape,
        latent_dim=settings["latent_dim"],
        num_embeddings=settings["codes"],
        use_ema=True,
    )
    return VQVAE(config, MapEncoder(networks["encoder"]), decoder)


def images(path: Path) -> Tensor:
    """float32 in [0, 1]."""
    return torch.from_numpy(np.load(path)).float() / 255


def main() -> None:
    """Train."""
    file = Path(sys.argv[1])
    settings = json.loads(file.read_text(encoding="utf-8"))
    # Modules of torch and of plain_networks.py, which the parent has just written.
    networks = torch.load(file.parent / "networks.pt", weights_only=False)
    training = BaseTrainerConfig(
        output_dir=str(file.parent / "pythae"),
        num_epochs=settings["epochs"],
        learning_rate=settings["learning_rate"],
        per_device_train_batch_size=settings["batch_size"],
        per_device_eval_batch_size=settings["batch_size"],
        no_cuda=settings["accelerator"] == "cpu",
    )
    pipeline = TrainingPipeline(build(settings, networks), training)
    train, evaluation = (images(file.parent / f"{name}.npy") for name in ("train", "val"))
    pipeline(train_data=train, eval_data=evaluation, callbacks=[TakesTurns()])


if __name__ == "__main__":
    main()
