"""How good the samples of trained models are, judged by a classifier of real images.

    python benchmarks/sample_quality.py logs/fashion_mnist_cvae/version_0 --json quality.json

A small convolutional network learns the classes of Fashion-MNIST first (kept in ``--classifier``
for the next time). Each model then gives ``--images`` samples, from the same random state, and is
judged by

- the Frechet distance between the network's 128 last features of the samples and of as many images
  of the test split (lower is better; comparable only with this network);
- the share of samples that the network puts into each class, and the smallest of these shares;
- for a conditional model, the share of samples that are given the class that was asked for.

A model that has a decoder and no prior, such as an autoencoder, decodes standard normal codes.
"""

import argparse
import sys
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from common import describe_machine, write_json
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

import lightning_gen
from lightning_gen.contracts import Conditional, Decodes, Encodes, Samples
from lightning_gen.data import FashionMNIST, ImageDataModule, MiniFashionMNIST
from lightning_gen.data.sources import TensorSource

BATCH = 500


class Classifier(nn.Sequential):
    """A convolutional network for 28x28 grey images, with 128 features before the last layer."""

    def __init__(self) -> None:
        super().__init__(
            *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Dropout(0.3)),
            nn.Linear(128, 10),
        )

    def features(self) -> nn.Module:
        """The network up to its 128 features."""
        return nn.Sequential(*list(self)[:-2])


def train_classifier(train: TensorSource, epochs: int) -> Classifier:
    """Adam under a one-cycle schedule, cross-entropy, no augmentation."""
    torch.manual_seed(0)
    classifier = Classifier()
    optimizer = torch.optim.Adam(classifier.parameters())
    steps = epochs * -(-len(train) // 128)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for epoch in range(epochs):
        for indices in torch.randperm(len(train)).split(128):
            batch = train[indices]
            loss = F.cross_entropy(classifier(batch.images.float() / 255), batch.labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"classifier, epoch {epoch}: loss {loss.item():.3f}", flush=True)
    return classifier


@torch.no_grad()
def predicted(classifier: nn.Module, images: Tensor) -> Tensor:
    """The class of each image."""
    return torch.cat([classifier(part).argmax(1) for part in images.split(BATCH)])


def trained_classifier(path: Path, data: ImageDataModule, epochs: int) -> Classifier:
    """The classifier kept in ``path``, trained and kept there first if there is none."""
    classifier = Classifier()
    if path.exists():
        classifier.load_state_dict(torch.load(path, weights_only=True))
    else:
        classifier = train_classifier(cast(TensorSource, data.load_train()), epochs)
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(classifier.state_dict(), path)
    return classifier.eval()


@torch.no_grad()
def samples(model: LightningModule, n: int, labels: Tensor | None = None) -> Tensor:
    """``n`` samples of a model, from random state 0."""
    torch.manual_seed(0)
    parts = []
    for start in range(0, n, BATCH):
        size = min(BATCH, n - start)
        if labels is not None:
            parts.append(model.sample(size, labels[start : start + size]))
        elif isinstance(model, Samples):
            parts.append(model.sample(size))
        else:
            parts.append(decoded_noise(model, size))
    return torch.cat(parts)


def decoded_noise(model: LightningModule, n: int) -> Tensor:
    """Images decoded from standard normal codes."""
    if not (isinstance(model, Encodes) and isinstance(model, Decodes)):
        raise SystemExit(f"{type(model).__name__} can neither sample nor decode.")
    image_shape = tuple(model.hparams["image_shape"])
    codes = model.encode(torch.zeros(1, *image_shape))
    return model.decode(torch.randn(n, codes.shape[1]))


class Judge:
    """A classifier of real images, and the features of the test split.

    Args:
        classifier: the trained network.
        real: test images [N, 1, 28, 28] in [0, 1].
    """

    def __init__(self, classifier: Classifier, real: Tensor) -> None:
        self.classifier = classifier
        self.metric = FrechetInceptionDistance(
            classifier.features(),
            reset_real_features=False,
            normalize=True,
            input_img_size=(1, 28, 28),
        )
        for part in real.split(BATCH):
            self.metric.update(part, real=True)

    def frechet_distance(self, images: Tensor) -> float:
        """Between the features of these images and those of the test split."""
        self.metric.reset()
        for part in images.split(BATCH):
            self.metric.update(part, real=False)
        return self.metric.compute().item()

    def judge(self, model: LightningModule, n: int) -> dict:
        """All that is known of a model's samples."""
        images = samples(model, n)
        shares = predicted(self.classifier, images).bincount(minlength=10) / n
        found = {
            "frechet_distance": self.frechet_distance(images),
            "class_shares": shares.tolist(),
            "smallest_class_share": shares.min().item(),
        }
        if isinstance(model, Conditional):
            asked = torch.arange(n) % 10
            given = predicted(self.classifier, samples(model, n, asked))
            found["class_agreement"] = (given == asked).float().mean().item()
        if hasattr(model, "sample_uniformly"):
            torch.manual_seed(0)
            with torch.no_grad():
                images = torch.cat([model.sample_uniformly(BATCH) for _ in range(-(-n // BATCH))])
            found["frechet_distance_uniform_codes"] = self.frechet_distance(images[:n])
        return found


def main() -> None:
    """Train or load the classifier, judge each run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", nargs="+", help="run directories, checkpoints or names of runs")
    parser.add_argument("--root", default="data", help="folder of Fashion-MNIST")
    parser.add_argument("--mini", action="store_true", help="use the images of the package")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--classifier", type=Path, default=Path("logs/classifier.pt"))
    parser.add_argument("--epochs", type=int, default=6, help="of the classifier's training")
    parser.add_argument("--json", type=Path, help="file for the results")
    args = parser.parse_args()

    data = MiniFashionMNIST() if args.mini else FashionMNIST(root=args.root)
    classifier = trained_classifier(args.classifier, data, args.epochs)
    test = cast(TensorSource, data.load_test())
    real = test.images.float() / 255
    accuracy = (predicted(classifier, real) == test.labels).float().mean().item()
    judge = Judge(classifier, real[: args.images])
    train = cast(TensorSource, data.load_train()).images[: args.images].float() / 255
    results: dict = {
        "machine": describe_machine(),
        "images": args.images,
        "classifier_accuracy": accuracy,
        "frechet_distance_of_training_images": judge.frechet_distance(train),
    }
    print(results)
    for run in args.runs:
        results[run] = judge.judge(lightning_gen.load(run), args.images)
        print(run, results[run], flush=True)
    write_json(args.json, results)


if __name__ == "__main__":
    sys.exit(main())
