"""What a model shows: a model and codes in, images with their labels out."""

from lightning_gen.views.arithmetic import Terms, arithmetic, check_terms, default_terms
from lightning_gen.views.codes import (
    LabelledCodes,
    encode,
    free_dimensions,
    join,
    latent_scatter,
    without_condition,
)
from lightning_gen.views.dimensions import (
    GridAxes,
    Ranked,
    check_range,
    grid_axes,
    latent_grid,
    rank,
    traversal,
    typical,
)
from lightning_gen.views.view import View, interpolation

__all__ = [
    "GridAxes",
    "LabelledCodes",
    "Ranked",
    "Terms",
    "View",
    "arithmetic",
    "check_range",
    "check_terms",
    "default_terms",
    "encode",
    "free_dimensions",
    "grid_axes",
    "interpolation",
    "join",
    "latent_grid",
    "latent_scatter",
    "rank",
    "traversal",
    "typical",
    "without_condition",
]
