"""The use of each code of a codebook as bars."""

from jaxtyping import Float, Int
from matplotlib.figure import Figure
from torch import Tensor

from lightning_gen.figures.style import BLUE, GREY, label, panels


def codebook_bars(
    counts: Int[Tensor, "codebooks size"], perplexity: Float[Tensor, " codebooks"]
) -> Figure:
    """A panel for each codebook: the share of each code, the most used first.

    Args:
        counts: how often each code was used.
        perplexity: effective number of codes of each codebook.
    """
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
