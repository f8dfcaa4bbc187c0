"""Charts of a model's code: how much of it is used, and what classifiers make of it."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Bool, Float, Int
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

from lightning_gen.figures.style import BLUE, CLASS_STYLES, GREY, label, panels

LEAST_TOP = 0.1
"""Nats at the upper end of the y axis, at least: a collapsed posterior looks like one."""

MOST_TICKS = 40
"""With more dimensions than these the bars are not numbered."""


def kl_bars(kl: Float[Tensor, " d"], active: Bool[Tensor, " d"], criterion: str) -> Figure:
    """The mean KL of each latent dimension in nats per image, the largest first, active in colour.

    The criterion is what makes a dimension active, with its threshold, for the legend.
    """
    order = kl.argsort(descending=True).tolist()
    on, nats = active.tolist(), kl.tolist()
    figure, [axes] = panels(1, (8.0, 3.6))
    colours = [BLUE if on[dimension] else GREY for dimension in order]
    axes.bar(range(len(order)), [nats[dimension] for dimension in order], color=colours)
    title = f"{sum(on)} of {len(on)} latent dimensions active, KL to N(0, I) {sum(nats):.1f} nats"
    label(axes, title, "latent dimension, sorted by KL", "nats per image")
    axes.set_ylim(0, max(1.2 * max(nats), LEAST_TOP))
    axes.set_xlim(-0.75, len(order) - 0.25)
    numbered = len(order) <= MOST_TICKS
    axes.set_xticks(range(len(order)) if numbered else [], order if numbered else [])
    if len(order) > 20:
        axes.tick_params(axis="x", labelsize=7)
    legend = [Patch(color=BLUE, label=f"active: {criterion}"), Patch(color=GREY, label="inactive")]
    axes.legend(handles=legend, edgecolor="none", fontsize=9, loc="upper right")
    return figure


def codebook_bars(
    counts: Int[Tensor, "codebooks size"], perplexity: Float[Tensor, " codebooks"]
) -> Figure:
    """A panel for each codebook: the share of each code, the most used first."""
    books, size = counts.shape
    figure, axes = panels(books)
    share = 100 * (counts / counts.sum(dim=1, keepdim=True)).sort(dim=1, descending=True).values
    for book, panel in enumerate(axes):
        panel.fill_between(range(size + 1), [*share[book].tolist(), 0.0], step="post", color=BLUE)
        panel.axhline(100 / size, color=GREY, linewidth=1, label="all alike")
        title = f"perplexity {perplexity[book]:.0f} of {size}"
        label(panel, title, f"codes of codebook {book}, sorted by use", "% of the positions")
        panel.set_xlim(0, size)
        panel.set_ylim(bottom=0)
        panel.legend(frameon=False, fontsize=9, loc="upper right")
    return figure


class Accuracy(NamedTuple):
    """Accuracy on the test images: mean and standard deviation over draws of the labelled ones."""

    features: str
    dimensions: int
    classifier: str
    labels: int
    repeats: int
    mean: float
    deviation: float


def by_curve(results: Sequence[Accuracy]) -> list[list[Accuracy]]:
    """The accuracies of each representation and classifier."""
    found: dict[tuple[str, str], list[Accuracy]] = {}
    for row in results:
        found.setdefault((row.features, row.classifier), []).append(row)
    return list(found.values())


def accuracy_curves(results: Sequence[Accuracy], title: str) -> Figure:
    """Accuracy against labels, with bars of one standard deviation.

    A representation has a colour, a classifier a line style.
    """
    figure, [axes] = panels(1, (7.6, 4.6))
    colours = dict(zip(dict.fromkeys(r.features for r in results), CLASS_STYLES, strict=False))
    lines = dict(zip(dict.fromkeys(r.classifier for r in results), ("-", "--", ":"), strict=False))
    for rows in by_curve(results):
        features, dimensions, classifier, *_ = rows[0]
        axes.errorbar(
            [row.labels for row in rows],
            [100 * row.mean for row in rows],
            [100 * row.deviation for row in rows],
            color=colours[features][0],
            linestyle=lines[classifier],
            marker="o",
            markersize=4,
            capsize=3,
            label=f"{features} ({dimensions} numbers), {classifier}",
        )
    axes.set_xscale("log")
    ticks = sorted({row.labels for row in results})
    axes.set_xticks(ticks, [f"{n:,}" for n in ticks])
    axes.minorticks_off()
    label(axes, title, "labelled training images", "accuracy in %")
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    return figure
