"""How good the samples of trained models are, judged by the classifier in the package.

    python benchmarks/sample_quality.py logs/fashion_mnist_cvae/version_0 --json quality.json

Each model gives ``--images`` samples, from the same random state, and is judged by

- ``frechet_distance[fashion_mnist_classifier]`` between them and as many images of the test split
  of Fashion-MNIST, as of the callback ``SampleQuality``, with its standard error;
- the share of samples that the classifier puts into each class, and the smallest of these shares;
- for a conditional model, the share of samples that are given the class that was asked for;
- for a VQVAE, the same distance of images decoded from uniformly drawn codes.

A model that has a decoder and no prior, such as an autoencoder, decodes standard normal codes.
"""

import argparse
from collections.abc import Callable
from functools import partial
from typing import cast

import torch
from common import arguments, finish
from lightning.pytorch import LightningModule
from torch import Tensor

import lightning_gen
from lightning_gen.contracts import Conditional, Decodes, Encodes, SamplesImages
from lightning_gen.data import FashionMNIST, MiniFashionMNIST
from lightning_gen.data.loader import TensorSource
from lightning_gen.features import FashionMNISTClassifier
from lightning_gen.metrics.estimate import Estimate
from lightning_gen.metrics.generation import FrechetDistance

BATCH = 500


def samples(model: LightningModule, n: int, labels: Tensor | None = None) -> Tensor:
    """``n`` samples of a model, from random state 0."""
    torch.manual_seed(0)
    if labels is not None:
        return torch.cat([model.sample(len(part), part) for part in labels.split(BATCH)])
    draw = model.sample if isinstance(model, SamplesImages) else partial(decoded_noise, model)
    return torch.cat([draw(min(BATCH, n - start)) for start in range(0, n, BATCH)])


def decoded_noise(model: LightningModule, n: int) -> Tensor:
    """Images decoded from standard normal codes."""
    if not (isinstance(model, Encodes) and isinstance(model, Decodes)):
        raise SystemExit(f"{type(model).__name__} can neither sample nor decode.")
    image_shape = tuple(model.hparams["image_shape"])
    size = model.encode(torch.zeros(1, *image_shape)).shape[1]
    return model.decode(torch.randn(n, size))


class Judge:
    """The classifier in the package, and its features of real images.

    Args:
        real: test images [N, 1, 28, 28] in [0, 1].
    """

    def __init__(self, real: Tensor) -> None:
        self.classifier = FashionMNISTClassifier()
        self.real = self.features(real)

    def features(self, images: Tensor) -> Tensor:
        """The features of images, [N, 128]."""
        return torch.cat([self.classifier(part) for part in images.split(BATCH)])

    def classes(self, images: Tensor) -> Tensor:
        """The class of each image."""
        return torch.cat([self.classifier.classes(part) for part in images.split(BATCH)])

    def frechet_distance(self, images: Tensor) -> Estimate:
        """Between these images and the real ones."""
        metric = FrechetDistance(self.classifier.feature_dim)
        metric.update(self.real, real=True)
        metric.update(self.features(images), real=False)
        return metric.compute()

    def judge(self, model: LightningModule, n: int) -> dict:
        """All that is known of a model's samples."""
        images = samples(model, n)
        shares = self.classes(images).bincount(minlength=10) / n
        found = {
            **described("frechet_distance", self.frechet_distance(images)),
            "class_shares": shares.tolist(),
            "smallest_class_share": shares.min().item(),
        }
        if isinstance(model, Conditional):
            asked = torch.arange(n) % 10
            given = self.classes(samples(model, n, asked))
            found["class_agreement"] = (given == asked).float().mean().item()
        if hasattr(model, "sample_uniformly"):
            torch.manual_seed(0)
            images = torch.cat([model.sample_uniformly(BATCH) for _ in range(-(-n // BATCH))])
            distance = self.frechet_distance(images[:n])
            found |= described("frechet_distance_uniform_codes", distance)
        return found


def described(name: str, estimate: Estimate) -> dict[str, float]:
    """A value and its standard error, for JSON."""
    value, error = (float(number) for number in estimate)
    return {name: value, f"{name}_standard_error": error}


def judge_runs(
    args: argparse.Namespace, judged: Callable[[LightningModule, Judge, Tensor, Tensor], dict]
) -> None:
    """Judge each run by what is ``judged`` of it, with the images of both splits; print, write."""
    data = MiniFashionMNIST() if args.mini else FashionMNIST(root=str(args.root))
    train, test = (
        cast(TensorSource, source).images[: args.images].float() / 255
        for source in (data.load("train"), data.load("test"))
    )
    judge = Judge(test)
    real = judge.frechet_distance(train)
    results = {"frechet_distance_of_training_images": described("frechet_distance", real)}
    for run in args.runs:
        with torch.no_grad():
            results[run] = judged(lightning_gen.load(run), judge, train, test)
        print(run, results[run], flush=True)
    finish(args, results)


def options(description: str | None) -> argparse.ArgumentParser:
    """Those of a benchmark that judges runs."""
    parser = arguments(description)
    parser.add_argument("runs", nargs="+", help="run directories, checkpoints or names of runs")
    parser.add_argument("--mini", action="store_true", help="use the images of the package")
    parser.add_argument("--images", type=int, default=10_000)
    return parser


if __name__ == "__main__":
    given = options(__doc__).parse_args()
    judge_runs(given, lambda model, judge, _, __: judge.judge(model, given.images))
