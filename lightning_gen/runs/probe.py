"""What the codes of a finished run know about the classes."""

from collections.abc import Callable, Iterator, Sequence
from math import isnan, nan
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from sklearn.base import ClassifierMixin
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from lightning_gen import contracts
from lightning_gen.atomic import write_text
from lightning_gen.errors import UserError
from lightning_gen.figures.code_charts import Accuracy, accuracy_curves, by_curve
from lightning_gen.pictures.codes import codes_of, free_dimensions
from lightning_gen.progress import progress
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.inputs import SplitInputs, SplitName
from lightning_gen.runs.outputs import PICTURES, check_ending, write_picture
from lightning_gen.training.metrics_file import table

Array = np.ndarray[Any, np.dtype[Any]]


class LabelledSplit(NamedTuple):
    """Features and classes of the images of a split."""

    codes: Float[Array, "n d"]
    pixels: Float[Array, "n p"]
    classes: Int[Array, " n"]


class Representation(NamedTuple):
    """A representation of the training and of the test images."""

    name: str
    train: Float[Array, "n d"]
    test: Float[Array, "m d"]


def probe(
    run: FinishedRun,
    out: Path,
    labels: Sequence[int] = (10, 50, 100, 1000),
    repeats: int = 5,
    num_train: int | None = None,
    seed: int = 0,
) -> Path:
    """Classify the test images by their frozen codes, with few labels and with all.

    Logistic regression (C = 10), and k nearest neighbours (k = 5, or the labels of a class where
    they are fewer), on the codes, and for comparison on the pixels and on as many principal
    components of the pixels as a code has numbers. Features are centred and divided by one number,
    to a mean squared norm of 1, so that inactive dimensions stay inactive; labels are drawn from
    all classes alike, anew in each repeat.

    Args:
        run: the finished run.
        out: a .csv, with the plot beside it as a .png; or the plot as a .png, .pdf or .svg, with
            the .csv beside it.
        labels: numbers of labelled training images; all of them come last.
        repeats: draws of the labelled images.
        num_train: the first so many training images are all; by default all are.
        seed: of the draws.
    """
    run.require((contracts.Encodes,), "probe")
    check_ending(out, (".csv", *PICTURES))
    info = contracts.info_of(run.data)
    classes = len(info.class_names) if info else 2
    if classes > 1:
        train = read_split(run, "train", num_train)
        classes = len(np.unique(train.classes))
    if classes < 2:
        raise UserError(
            f"probe needs images of at least 2 classes, and {run.name} has {classes}. Choose a run "
            "on a dataset with classes."
        )
    if any(n < classes for n in labels):
        raise UserError(
            f"probe takes {classes} labels or more, one a class, got {', '.join(map(str, labels))}."
        )
    test = read_split(run, "test", None)
    counts = sorted({*(n for n in labels if n < len(train.classes)), len(train.classes)})
    tasks = [(features, n) for features in feature_sets(train, test) for n in counts]
    results: list[Accuracy] = []
    with progress(len(tasks), "probing", unit="classifier") as bar:
        for features, n in tasks:
            results += accuracies(features, train.classes, test.classes, n, repeats, seed)
            bar.update()
    rows = [
        each._asdict() | {"mean": f"{each.mean:.4f}", "deviation": f"{each.deviation:.4f}"}
        for each in results
    ]
    write_text(out.with_suffix(".csv"), table([*Accuracy._fields], rows, header=True))
    title = f"What {run.name} knows: classes of {len(test.classes):,} test images"
    plot = out.with_suffix(".png") if out.suffix == ".csv" else out
    write_picture(accuracy_curves(results, title), plot)
    print(summary(results))
    return out


def read_split(run: FinishedRun, split: SplitName, limit: int | None) -> LabelledSplit:
    """Codes, pixels and classes of a split; the condition at the end of a code is left out."""
    codes, pixels, classes = [], [], []
    for batch, _ in SplitInputs(run, split).shown(f"encoding {split}", limit):
        found = codes_of(run.model, batch)
        codes.append(found.codes[:, : free_dimensions(run.model, found.codes)].numpy())
        pixels.append(batch.images.flatten(1).cpu().numpy())
        classes.append(found.labels.numpy())
    return LabelledSplit(*(np.concatenate(parts) for parts in (codes, pixels, classes)))


def feature_sets(train: LabelledSplit, test: LabelledSplit) -> Iterator[Representation]:
    """Codes, pixels, and as many principal components as a code has numbers, if that is fewer."""
    yield scaled("codes", train.codes, test.codes)
    yield scaled("pixels", train.pixels, test.pixels)
    size = train.codes.shape[1]
    if size < min(train.pixels.shape):
        pca = PCA(size, random_state=0).fit(train.pixels)
        yield scaled("PCA", pca.transform(train.pixels), pca.transform(test.pixels))


def scaled(name: str, train: Float[Array, "n d"], test: Float[Array, "m d"]) -> Representation:
    """Centred, with a mean squared norm of 1 over the training images."""
    mean = train.mean(axis=0)
    size = max(float(np.sqrt(train.var(axis=0).sum())), 1e-12)
    return Representation(name, (train - mean) / size, (test - mean) / size)


def accuracies(
    features: Representation,
    train_classes: Int[Array, " n"],
    test_classes: Int[Array, " m"],
    count: int,
    repeats: int,
    seed: int,
) -> list[Accuracy]:
    """Both classifiers, with ``count`` labels."""
    draws = list(drawn(train_classes, count, repeats, seed))
    each = count // len(np.unique(train_classes))
    kinds: dict[str, Callable[[], ClassifierMixin]] = {
        "logistic regression": lambda: LogisticRegression(C=10.0, max_iter=1000),
        "nearest neighbours": lambda: KNeighborsClassifier(max(1, min(5, each))),
    }
    found = []
    for classifier, build in kinds.items():
        scores = [
            build().fit(features.train[d], train_classes[d]).score(features.test, test_classes)
            for d in draws
        ]
        mean, deviation = fmean(scores), stdev(scores) if len(scores) > 1 else nan
        about = features.name, features.train.shape[1], classifier, count, len(draws)
        found.append(Accuracy(*about, mean, deviation))
    return found


def drawn(
    classes: Int[Array, " n"], count: int, repeats: int, seed: int
) -> Iterator[Int[Array, " k"]]:
    """Positions of the labelled images of each repeat, equally many of each class.

    A class that runs out leaves its share to the others. All images are drawn once.
    """
    if count == len(classes):
        yield np.arange(count)
        return
    for repeat in range(repeats):
        order = np.random.default_rng([seed, repeat]).permutation(len(classes))
        same = classes[order][:, None] == np.unique(classes)
        turn = same.cumsum(axis=0)[same]  # an image is the first, second, ... of its class
        yield order[np.argsort(turn, kind="stable")[:count]]


def summary(results: Sequence[Accuracy]) -> str:
    """The accuracies in per cent, a line for each representation and classifier."""
    columns = sorted({row.labels for row in results})
    lines = [f"{'accuracy in % at':<34}" + "".join(f"{n:>14,}" for n in columns) + " labels"]
    for rows in by_curve(results):
        cells = [
            f"{100 * row.mean:.1f}"
            + ("" if isnan(row.deviation) else f" ± {100 * row.deviation:.1f}")
            for row in rows
        ]
        head = f"{rows[0].features}, {rows[0].classifier}"
        lines.append(f"{head:<34}" + "".join(f"{cell:>14}" for cell in cells))
    return "\n".join(lines)
