"""Likelihoods p(x|z), which own the decoder's output: activation and loss cannot disagree."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from lightning_gen.contracts import Images, PerImage
from lightning_gen.errors import check_number

Params = Float[Tensor, "n p h w"]


@dataclass(eq=False)
class Likelihood(nn.Module, ABC):
    """A distribution over images, given the raw output of a decoder.

    Attributes:
        params_per_channel: how many output channels of the decoder each image channel takes.
        discrete: whether it is a probability of 8-bit pixels, which has bits per dimension.
        binary: whether it is a probability of pixels 0 and 1 only.
    """

    params_per_channel: ClassVar[int] = 1
    discrete: ClassVar[bool] = False
    binary: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__init__()

    @abstractmethod
    def log_prob(self, params: Params, images: Images) -> PerImage:
        """Log p(x|z) of each image in nats, summed over its pixels, in float32."""

    @abstractmethod
    def image(self, params: Params) -> Images:
        """The image that the parameters stand for (the mean), in [0, 1]."""

    @abstractmethod
    def params(self, images: Images) -> Params:
        """Parameters that stand for images, those of :meth:`image` up to a hundredth."""


class BernoulliLogProb(Function):
    """The log-probability of images under logits l, and its gradients, in half of torch's time.

    log(1 + exp(-|l|)), slow on a CPU, is -log(max(p, 1 - p)) with p = sigmoid(l). A pixel is off by
    less than a millionth of a nat, as in torch's float32.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, images: Tensor) -> Tensor:  # noqa: ANN401  (torch's)
        """The sum over pixels of x l - max(l, 0) + log(max(p, 1 - p)) for each image."""
        p = torch.sigmoid(logits)
        ctx.save_for_backward(logits, images, p)
        log_certainty = (p - 0.5).abs_().add_(0.5).log_()
        nats = log_certainty.addcmul_(images, logits).sub_(logits.clamp(min=0))
        return nats.flatten(1).sum(dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None]:  # noqa: ANN401
        """(x - p, l), times the gradient of each image's sum."""
        logits, images, p = ctx.saved_tensors
        grad = grad.view(-1, *[1] * (logits.dim() - 1))
        of_images = grad * logits if ctx.needs_input_grad[1] else None
        return (images - p).mul_(grad), of_images


@dataclass(eq=False)
class Bernoulli(Likelihood):
    """Independent Bernoulli pixels; the decoder's output is the logits.

    -log p is the binary cross-entropy in nats. It is a probability only on binary images; on grey
    levels in [0, 1] it is the usual loss, comparable between models and with no other likelihood.
    """

    binary: ClassVar[bool] = True

    def log_prob(self, params: Params, images: Images) -> PerImage:
        """sum_i x_i log p_i + (1 - x_i) log(1 - p_i), in nats per image."""
        return BernoulliLogProb.apply(params.float(), images)  # type: ignore[no-any-return]

    def image(self, params: Params) -> Images:
        """The probabilities sigmoid(logits)."""
        return torch.sigmoid(params.float())

    def params(self, images: Images) -> Params:
        """The logits of the images, cut to probabilities from 0.01 to 0.99."""
        return torch.logit(images, 0.01)


@dataclass(eq=False)
class Gaussian(Likelihood):
    """Independent Gaussian pixels of one standard deviation sigma.

    A fixed one weighs the squared error by 1 / (2 sigma^2) against the KL; a learned one is that of
    the sigma-VAE (Rybkin, Daniilidis & Levine 2021, arXiv:2006.13202).

    Args:
        sigma: standard deviation in units of the image range [0, 1]; the start where it is learned.
        learned: learn sigma, one number for all pixels.
        bounded: the mean is the sigmoid of the decoder's output, and not this itself.
    """

    sigma: float = 1.0
    learned: bool = False
    bounded: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        remedy = "Pass sigma 1.0 for plain squared error, or learned true."
        check_number("Gaussian.sigma", self.sigma, 0, remedy, above=True)
        start = torch.tensor(math.log(self.sigma))
        if self.learned:
            self.log_sigma = nn.Parameter(start)
        else:
            self.register_buffer("log_sigma", start, persistent=False)

    def log_prob(self, params: Params, images: Images) -> PerImage:
        """Log N(x; mean, sigma^2), summed over pixels: a density in nats per image."""
        log_sigma = self.log_sigma.float()
        squared = ((images - self._mean(params)) * torch.exp(-log_sigma)).square()
        constant = log_sigma + 0.5 * math.log(2 * math.pi)
        return -(0.5 * squared + constant).flatten(1).sum(dim=1)

    def image(self, params: Params) -> Images:
        """The mean, cut to the image range."""
        return self._mean(params).clamp(0, 1)

    def params(self, images: Images) -> Params:
        """The images; their logits, cut to 0.01 to 0.99, where the mean is bounded."""
        return torch.logit(images, 0.01) if self.bounded else images

    def _mean(self, params: Params) -> Images:
        return torch.sigmoid(params.float()) if self.bounded else params.float()


@dataclass(eq=False)
class DiscretizedLogistic(Likelihood):
    """A logistic distribution binned to 256 grey levels (Salimans et al. 2017, arXiv:1701.05517).

    The decoder gives location and log scale of each pixel. A true probability of 8-bit images:
    -log p / (pixels * log 2) is bits per dimension.
    """

    params_per_channel: ClassVar[int] = 2
    discrete: ClassVar[bool] = True
    levels: ClassVar[int] = 256
    min_log_scale: ClassVar[float] = -7.0
    max_log_scale: ClassVar[float] = 20.0  # beyond 80 the gradient leaves float32

    def log_prob(self, params: Params, images: Images) -> PerImage:
        """Log of the mass in each pixel's bin, summed over pixels, in nats per image."""
        location, log_scale = params.float().chunk(2, dim=1)
        inverse_scale = torch.exp(-log_scale.clamp(self.min_log_scale, self.max_log_scale))
        half_bin = 0.5 / (self.levels - 1)
        upper = (images - location + half_bin) * inverse_scale
        lower = (images - location - half_bin) * inverse_scale
        # sigmoid(b) - sigmoid(a) = sigmoid(b) sigmoid(-a) (1 - exp(a - b)), stable in the tails.
        # The first and the last bin reach to infinity, so one of their two sides is certain.
        below = torch.where(images > 1 - half_bin, 0.0, F.logsigmoid(upper))
        above = torch.where(images < half_bin, 0.0, F.logsigmoid(-lower))
        inner = (images >= half_bin) & (images <= 1 - half_bin)
        width = torch.where(inner, torch.log(-torch.expm1(lower - upper)), 0.0)
        return (below + above + width).flatten(1).sum(dim=1)

    def image(self, params: Params) -> Images:
        """The location, cut to the image range."""
        return params.float().chunk(2, dim=1)[0].clamp(0, 1)

    def params(self, images: Images) -> Params:
        """The images as locations, with scales of 1."""
        return torch.cat([images, torch.zeros_like(images)], dim=1)
