"""What DiffAugment is worth where images are few: 300 images of MiniFashionMNIST, 30 of each class.

    python benchmarks/few_images.py --seeds 0 1 2 --json few.json

R3GAN is trained on them with and without it, for as many steps, and 2,000 samples are judged
against the 2,000 test images: coverage, the share of these that have a sample near them, and the
Frechet distance, in the features of the classifier in the package; and memorisation. The runs are
kept in logs/few_images_<seed>_<with or without>, with their pictures.
"""

from itertools import chain

import torch
from common import arguments, finish

import lightning_gen
from lightning_gen.callbacks import SampleQuality
from lightning_gen.data import MiniFashionMNIST, Wrap
from lightning_gen.features import FashionMNISTClassifier
from lightning_gen.models import R3GAN
from lightning_gen.networks import DiffAugment

PER_CLASS, REPEATED = 30, 20
SCORES = ("coverage", "frechet_distance", "memorisation", "rarest_class")


def few_images() -> Wrap:
    """The first images of each class, again and again in an epoch; the test split as it is."""
    mini = MiniFashionMNIST()
    mini.setup("fit")
    mini.setup("test")
    whole = (mini.splits[name][torch.arange(len(mini.splits[name]))] for name in ("train", "test"))
    train, test = ([*zip(b.images.numpy()[:, 0], b.labels.tolist(), strict=True)] for b in whole)
    chosen = [[item for item in train if item[1] == label][:PER_CLASS] for label in range(10)]
    repeated = [*chain(*chosen)] * REPEATED
    names = mini.info.class_names
    return Wrap(repeated, test, class_names=names, batch_size=60, val_fraction=0.0)


def main() -> None:
    """Train and judge."""
    parser = arguments(__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=60, help="of 100 steps each")
    args = parser.parse_args()
    results = {}
    for seed in args.seeds:
        for name, augment in (("without", None), ("with", DiffAugment())):
            data = few_images()
            run = lightning_gen.fit(
                R3GAN(data.image_shape, augment=augment),
                data,
                name=f"few_images_{seed}_{name}",
                seed=seed,
                max_epochs=args.epochs,
                callbacks=[SampleQuality(FashionMNISTClassifier())],
            )
            found = {s: run.test[f"{s}[fashion_mnist_classifier]"] for s in SCORES}
            results[f"{seed} {name}"] = found
            print(seed, name, found, flush=True)
    finish(args, results)


if __name__ == "__main__":
    main()
