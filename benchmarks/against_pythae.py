"""How fast ``lightning-gen fit`` trains beside pythae 0.1.2, the same networks in both.

    python benchmarks/against_pythae.py --json pythae.json

pythae trains in the process of the fit, an epoch after each of its epochs: the same networks with
the same first weights, the same images, batches of 128 and Adam with a learning rate of 0.001. All
else is what each does by default: ours logs, draws pictures and shows a progress bar to a terminal
that nobody sees, pythae keeps its images as float32 in a DataLoader without workers, sums up the
loss and shows its progress bar. Both minimise the Bernoulli loss, ours on logits, pythae's on
probabilities. It needs ``pip install pythae==0.1.2``, best in an environment made for it.
"""

import io
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from typing import Any

import torch
from bare import BareLoop
from common import CONV, DENSE
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from throughput import Fit, Rivals, measure_all, options
from torch import Tensor, nn
from usual_data import fashion_mnist, fashion_mnist_words

ADAM = (
    *("--model.optimizer", "torch.optim.Adam", "--model.optimizer.lr", "0.001"),
    *("--model.lr_scheduler", "null"),
)


class Encoder(BaseEncoder):
    """Mean and log-variance, the two halves of a network's output."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> ModelOutput:
        """The posterior of each image."""
        mean, log_var = self.network(x).chunk(2, dim=1)
        return ModelOutput(embedding=mean, log_covariance=log_var)


class Decoder(BaseDecoder):
    """Pixels in [0, 1], which pythae's losses are of."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, z: Tensor) -> ModelOutput:
        """The image of each code."""
        return ModelOutput(reconstruction=torch.sigmoid(self.network(z)))


class Pythae(BareLoop):
    """pythae's trainer on a VAE of pythae around copies of our networks."""

    def __init__(self, model: Any, images: Tensor, batches: int) -> None:
        super().__init__(model, images)
        images = self.images[: batches * self.batch_size].cpu()
        shape = tuple(images.shape[1:])
        config = VAEConfig(input_dim=shape, latent_dim=model.latent_dim, reconstruction_loss="bce")
        settings = BaseTrainerConfig(
            output_dir=tempfile.mkdtemp(),
            learning_rate=1e-3,
            per_device_train_batch_size=self.batch_size,
            no_cuda=self.device.type == "cpu",
        )
        self.trainer = BaseTrainer(
            VAE(config, Encoder(self.encoder), Decoder(self.decoder)),
            BaseDataset(images, torch.zeros(len(images))),
            training_config=settings,
        )
        self.trainer.prepare_training()

    def train(self, batches: int) -> None:
        """One epoch of these images."""
        with redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
            self.trainer.train_step(epoch=1)


def main() -> None:
    """Measure, print, write."""
    parser = options(__doc__, 15)
    parser.add_argument("--batches", type=int, default=390, help="of a dense epoch")
    parser.add_argument("--conv-batches", type=int, default=100, help="of a convolutional epoch")
    parser.add_argument("--accelerator", default="cpu", help="cpu or cuda")
    args = parser.parse_args()
    images = fashion_mnist(args.root).load("train").images
    words = [*ADAM, *fashion_mnist_words(args.root), "--trainer.accelerator", args.accelerator]
    fits = {}
    for name, config, batches in (
        ("dense", DENSE, args.batches),
        ("conv", CONV, args.conv_batches),
    ):
        loops = {"pythae": partial(Pythae, batches=batches), "bare": BareLoop}
        rivals = partial(Rivals, images, loops)
        fits[name] = Fit(["--config", str(config), *words], rivals, batches)
    measure_all(fits, args)
    print("Targets over pythae: dense at least 1.3, conv at least 1.0.")


if __name__ == "__main__":
    main()
