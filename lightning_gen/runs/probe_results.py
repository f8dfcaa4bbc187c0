"""What a probe found: a table, curves, and lines for the screen."""

import csv
import io
from collections.abc import Sequence
from math import isnan
from typing import NamedTuple

from lightning_gen.figures import AccuracyCurve


class Accuracy(NamedTuple):
    """Accuracy on the test images: mean and standard deviation over draws of the labelled ones."""

    features: str
    dimensions: int
    classifier: str
    labels: int
    repeats: int
    mean: float
    deviation: float


def table(results: Sequence[Accuracy]) -> str:
    """The results as CSV."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Accuracy._fields)
    for row in results:
        writer.writerow([*row[:5], f"{row.mean:.4f}", f"{row.deviation:.4f}"])
    return text.getvalue()


def curves(results: Sequence[Accuracy]) -> list[AccuracyCurve]:
    """A curve for each representation and classifier."""
    found: dict[tuple[str, str], AccuracyCurve] = {}
    for row in results:
        key = row.features, row.classifier
        name = f"{row.features} ({row.dimensions} numbers)"
        curve = found.setdefault(key, AccuracyCurve(name, row.classifier, [], [], []))
        curve.labels.append(row.labels)
        curve.means.append(row.mean)
        curve.deviations.append(row.deviation)
    return list(found.values())


def summary(results: Sequence[Accuracy]) -> str:
    """The accuracies in per cent, a line for each representation and classifier."""
    columns = sorted({row.labels for row in results})
    lines = [f"{'accuracy in % at':<34}" + "".join(f"{n:>14,}" for n in columns) + " labels"]
    for curve in curves(results):
        cells = [
            f"{100 * mean:.1f}" + ("" if isnan(deviation) else f" ± {100 * deviation:.1f}")
            for mean, deviation in zip(curve.means, curve.deviations, strict=True)
        ]
        head = f"{curve.features.partition(' (')[0]}, {curve.classifier}"
        lines.append(f"{head:<34}" + "".join(f"{cell:>14}" for cell in cells))
    return "\n".join(lines)
