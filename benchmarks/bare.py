"""Training loops that a person writes without a framework: what ``fit`` is compared with.

All train copies of a model's encoder and decoder on images in memory, as float32, and minimise the
model's own loss. Each ``train(n)`` is ``n`` batches; the last one of an epoch is left out where it
is not whole.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from torch import Tensor


def bernoulli(logits: Tensor, images: Tensor) -> Tensor:
    """Of ``lightning_gen.objectives.Bernoulli``."""
    return F.binary_cross_entropy_with_logits(logits, images, reduction="sum")


def squared_error(logits: Tensor, images: Tensor) -> Tensor:
    """Of ``lightning_gen.objectives.Gaussian`` with sigma = 1, without its constant."""
    return 0.5 * F.mse_loss(torch.sigmoid(logits), images, reduction="sum")


class BareLoop:
    """``zero_grad``, ``backward``, ``step`` with torch's Adam as it comes.

    Args:
        model: copies of its encoder and decoder are trained.
        images: all training images, uint8.
        batch_size: images a batch.
        nats: minus the log-likelihood of a batch, from the decoder's output and the images.
        bf16: compute in mixed precision.
        adam: options of the optimizer.
    """

    def __init__(
        self,
        model: LightningModule,
        images: Tensor,
        batch_size: int = 128,
        nats: Callable[[Tensor, Tensor], Tensor] = bernoulli,
        bf16: bool = False,
        **adam: Any,
    ) -> None:
        self.encoder, self.decoder = deepcopy((model.encoder, model.decoder))
        self.device = model.device
        self.images = images.to(self.device).float() / 255
        self.batch_size = batch_size
        self.nats = nats
        self.bf16 = bf16
        parameters = [*self.encoder.parameters(), *self.decoder.parameters()]
        self.optimizer = torch.optim.Adam(parameters, lr=1e-3, **adam)

    def loss(self, images: Tensor) -> Tensor:
        """The negative ELBO in nats per image."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            mean, log_var = self.encoder(images).float().chunk(2, dim=1)
            codes = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
            logits = self.decoder(codes).float()
            kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum()
            return (self.nats(logits, images) + kl) / len(images)

    def step(self, images: Tensor) -> None:
        """Train on a batch."""
        self.optimizer.zero_grad()
        self.loss(images).backward()
        self.optimizer.step()

    def batches(self, count: int) -> Iterator[Tensor]:
        """So many batches of a new permutation, of others where that ends."""
        while count > 0:
            order = torch.randperm(len(self.images), device=self.device)
            for indices in order.split(self.batch_size)[: len(order) // self.batch_size][:count]:
                count -= 1
                yield self.fetch(indices)

    def fetch(self, indices: Tensor) -> Tensor:
        """The images at these places."""
        return self.images[indices]

    def train(self, batches: int) -> None:
        """Train on so many batches."""
        for images in self.batches(batches):
            self.step(images)


class TunedLoop(BareLoop):
    """The loop of a person who knows torch well: fused Adam, images fetched by index_select."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, fused=True, **options)

    def fetch(self, indices: Tensor) -> Tensor:
        """Whole images are copied."""
        return self.images.index_select(0, indices)


class CompiledLoop(TunedLoop):
    """The tuned loop with its loss compiled; on a CPU it is traced and run as it is."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        backend = "inductor" if self.device.type == "cuda" else "eager"
        self.loss = torch.compile(self.loss, backend=backend)
