"""What a prior is: a distribution of codes, drawn from, fitted and evaluated."""

import math
from abc import ABC, abstractmethod
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import OneCycleLR

from lightning_gen.contracts import Codes, PerImage
from lightning_gen.errors import UserError, check_number
from lightning_gen.noise import normal_like, own_rows

HELD_OUT = 10
"""One in so many codes is held out, and tells how well the others were fitted."""
FEWEST = 100
"""Codes that a fit takes at least."""


@dataclass(eq=False)
class Prior(nn.Module, ABC):
    """A distribution p(z) of codes, whose log-density is in nats.

    Its fields are its options. It has parameters as soon as the codes are known: those of a model
    that it is trained with (:meth:`of`), or a sample of codes (:meth:`fit`). All is computed in
    float32 or better, but for networks, which have the precision of the training.
    """

    def __post_init__(self) -> None:
        super().__init__()

    @abstractmethod
    def of(self, model: Any) -> Self:  # noqa: ANN401  (a model with such codes)
        """A copy with parameters for the codes of ``model``, to be trained with it."""

    @abstractmethod
    def fit(self, codes: Tensor, per_image: int = 1) -> Self:
        """Fit to the codes of images, in place.

        A tenth of the images is held out to choose among fits. A UserError says that this takes
        more codes, or that the prior cannot be fitted to a finished model.

        Args:
            codes: one or more an image.
            per_image: how many codes that follow one another are of the same image.
        """

    @abstractmethod
    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        """``n`` draws, from torch's global random state.

        A ``temperature`` below 1 draws from nearer to the modes: it multiplies the standard
        deviation of the noise, or divides the logits of discrete codes.
        """

    @abstractmethod
    def log_prob(self, codes: Tensor) -> PerImage:
        """Log p(z) of each code, in nats."""


@dataclass(eq=False)
class VectorPrior(Prior):
    """A prior of codes [N, D], which are vectors of real numbers."""

    @property
    def latent_dim(self) -> int:
        """The length of a code."""
        return len(self.origin)

    def of(self, model: Any) -> Self:  # noqa: ANN401
        """A copy with parameters for codes of the length ``model.latent_dim``."""
        copy = deepcopy(self)
        copy.build(model.latent_dim)
        return copy

    def build(self, latent_dim: int) -> None:
        """Make the parameters for codes of this length."""
        # Tells the device and the length of a code; no part of a checkpoint.
        self.origin: Tensor
        self.register_buffer("origin", torch.zeros(latent_dim), persistent=False)

    def like(self, codes: Codes) -> Codes:
        """A draw for each code; processes that train together share the draws out."""
        return own_rows(self.sample, len(codes))

    def start(self, data: object) -> None:
        """Begin at what is known of the ``data`` before training."""


@dataclass(eq=False)
class StandardNormal(VectorPrior):
    """p(z) = N(0, I)."""

    def fit(self, codes: Codes, per_image: int = 1) -> Self:
        """It has no parameters: the length of the codes is all that it takes."""
        self.build(codes.shape[1])
        return self

    def sample(self, n: int, temperature: float = 1.0) -> Codes:
        """``n`` draws of N(0, temperature^2 I)."""
        return temperature * torch.randn(n, self.latent_dim, device=self.origin.device)

    def log_prob(self, codes: Codes) -> PerImage:
        """Log N(z; 0, I)."""
        return -0.5 * (codes.float().square() + math.log(2 * math.pi)).sum(dim=1)

    def like(self, codes: Codes) -> Codes:
        """A draw for each code, in its precision."""
        return normal_like(codes)


def widest(codes: Tensor) -> torch.dtype:
    """The most precise type of where the codes are: float64, but on Apple's GPUs."""
    return torch.float32 if codes.device.type == "mps" else torch.float64


def split_codes(codes: Tensor, per_image: int) -> tuple[Tensor, Tensor]:
    """Codes to fit to, and those of images that are held out, shuffled.

    A UserError says that they are too few.
    """
    if len(codes) < FEWEST or not codes.isfinite().all():
        said = f"{len(codes)}" if len(codes) < FEWEST else "some that are infinite or nan"
        raise UserError(f"a prior is fitted to {FEWEST} finite codes or more, got {said}.")
    order = torch.randperm(len(codes))
    images = torch.randperm(len(codes) // per_image)
    held = torch.isin(order // per_image, images[: max(1, len(images) // HELD_OUT)])
    return codes[order[~held]], codes[order[held]]


def standardised(codes: Codes) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"]]:
    """Mean and standard deviation of each dimension; 1 of one that is constant."""
    std = codes.std(dim=0)
    return codes.mean(dim=0), torch.where(std > 1e-6 * std.max(), std, 1.0)


def fit_by_gradient(
    prior: Prior, codes: Tensor, per_image: int, epochs: int, batch_size: int, learning_rate: float
) -> None:
    """Maximise the mean log-density by Adam, with one cycle of the learning rate.

    The parameters of the best epoch are kept, by the codes that are held out.
    """
    check_number("epochs", epochs, 1)
    seen, held = split_codes(codes, per_image)
    steps = epochs * math.ceil(len(seen) / batch_size)
    optimizer = Adam(prior.parameters(), learning_rate)
    schedule = OneCycleLR(optimizer, learning_rate, total_steps=steps)
    best, kept = -math.inf, deepcopy(prior.state_dict())
    for _ in range(epochs):
        prior.train()
        for part in torch.split(seen[torch.randperm(len(seen))], batch_size):
            optimizer.zero_grad()
            with torch.enable_grad():
                loss = -prior.log_prob(part).mean()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(prior.parameters(), 10.0)
            optimizer.step()
            schedule.step()
        prior.eval()
        with torch.no_grad():
            found = torch.cat([*map(prior.log_prob, torch.split(held, 1024))]).mean().item()
        if found > best:
            best, kept = found, deepcopy(prior.state_dict())
    prior.load_state_dict(kept)
    prior.requires_grad_(False)
