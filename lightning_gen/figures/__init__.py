"""How to draw: tensors and tables in, pixels or a matplotlib Figure out."""

from lightning_gen.figures.code_charts import AccuracyCurve, accuracy_curves, codebook_bars, kl_bars
from lightning_gen.figures.curves import loss_curves
from lightning_gen.figures.grid import image_grid, image_rows, tile_size
from lightning_gen.figures.scatter import scatter
from lightning_gen.figures.style import Pixels, chart, save_vector, to_array
from lightning_gen.figures.sweep import SweptParameter, sweep_panels

__all__ = [
    "AccuracyCurve",
    "Pixels",
    "SweptParameter",
    "accuracy_curves",
    "chart",
    "codebook_bars",
    "image_grid",
    "image_rows",
    "kl_bars",
    "loss_curves",
    "save_vector",
    "scatter",
    "sweep_panels",
    "tile_size",
    "to_array",
]
