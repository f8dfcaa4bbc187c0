"""Autoencoders against variational ones: sharpness, continuity, generation (docs/ae-vs-vae.md).

    python benchmarks/latent_quality.py fashion_mnist_ae_2d fashion_mnist_vae_2d --json latent.json

Each run is measured on the test split of Fashion-MNIST, in nothing but images, so that models with
different losses compare:

- sharpness: the variance of the Laplacian of the reconstructions as a share of that of the
  originals (1 is as sharp), their mean squared error per pixel and their binary cross-entropy in
  nats per image; codes are encoded without noise;
- continuity: on straight lines between the codes of ``--lines`` random pairs of test images,
  decoded at 51 even points, the largest step between neighbours (Euclidean distance of the
  pixels) and how many times the line's mean step it is (1 is perfectly even); and how real the
  middles look, by the Frechet distance below;
- generation: ``frechet_distance[fashion_mnist_classifier]`` between ``--images`` samples and the
  test images: of codes drawn from N(0, I), the prior, and from a normal
  distribution with the mean and covariance of the training codes.
"""

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from sample_quality import BATCH, Judge, described, judge_runs, options
from torch import Tensor

from lightning_gen.latent import linear

STEPS = 51
LAPLACIAN = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]


def laplacian_variance(images: Tensor) -> Tensor:
    """The variance of the Laplacian of each grey image [N, 1, H, W]: higher is sharper."""
    return F.conv2d(images, LAPLACIAN).flatten(1).var(dim=1)


def encoded(model: LightningModule, images: Tensor) -> Tensor:
    """The code of each image."""
    return torch.cat([model.encode(part) for part in images.split(BATCH)])


def decoded(model: LightningModule, codes: Tensor) -> Tensor:
    """The image of each code."""
    return torch.cat([model.decode(part) for part in codes.split(BATCH)])


def sharpness(model: LightningModule, images: Tensor) -> dict[str, float]:
    """How sharp and how right the reconstructions are."""
    again = decoded(model, encoded(model, images))
    entropy = F.binary_cross_entropy(again.clamp(1e-6, 1 - 1e-6), images, reduction="sum")
    share = laplacian_variance(again).mean() / laplacian_variance(images).mean()
    return {
        "laplacian_variance_share": share.item(),
        "mean_squared_error": F.mse_loss(again, images).item(),
        "cross_entropy": entropy.item() / len(images),
    }


def continuity(
    model: LightningModule, images: Tensor, lines: int, judge: Judge
) -> dict[str, float]:
    """How evenly the image changes along a line, and how real its middle looks."""
    pairs = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[: 2 * lines]
    start, end = encoded(model, images[pairs]).chunk(2)
    largest, unevenness, middles = [], [], []
    for a, b in zip(start.split(20), end.split(20), strict=True):
        codes = linear(a, b, STEPS)
        path = model.decode(codes.flatten(0, 1)).view(len(a), STEPS, -1)
        steps = (path[:, 1:] - path[:, :-1]).norm(dim=2)
        largest.append(steps.amax(dim=1))
        unevenness.append(steps.amax(dim=1) / steps.mean(dim=1).clamp(min=1e-9))
        middles.append(path[:, STEPS // 2].view(len(a), *images.shape[1:]))
    return {
        "largest_step": torch.cat(largest).mean().item(),
        "largest_by_mean_step": torch.cat(unevenness).mean().item(),
        **described("frechet_distance_of_middles", judge.frechet_distance(torch.cat(middles))),
    }


def generation(model: LightningModule, train: Tensor, n: int, judge: Judge) -> dict[str, float]:
    """How far the samples are from real images."""
    codes = encoded(model, train)
    noise = torch.randn(n, codes.shape[1], generator=torch.Generator().manual_seed(0))
    covariance = codes.T.cov().reshape(codes.shape[1], -1)
    values, vectors = torch.linalg.eigh(covariance)
    fitted = codes.mean(dim=0) + (noise * values.clamp(min=0).sqrt()) @ vectors.T
    prior = judge.frechet_distance(decoded(model, noise))
    aggregate = judge.frechet_distance(decoded(model, fitted))
    return {
        **described("frechet_distance_of_standard_normal", prior),
        **described("frechet_distance_of_fitted_normal", aggregate),
    }


def main() -> None:
    """Measure each run, print, write."""
    parser = options(__doc__)
    parser.add_argument("--lines", type=int, default=1000)
    args = parser.parse_args()

    def judged(model: LightningModule, judge: Judge, train: Tensor, test: Tensor) -> dict:
        return {
            "laplacian_variance_of_originals": laplacian_variance(test).mean().item(),
            **sharpness(model, test),
            **continuity(model, test, args.lines, judge),
            **generation(model, train, args.images, judge),
        }

    judge_runs(args, judged)


if __name__ == "__main__":
    main()
