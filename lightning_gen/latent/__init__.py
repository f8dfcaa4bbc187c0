"""The geometry of codes: paths, planes, layouts. Tensors in, tensors out."""

from lightning_gen.latent.paths import PATHS, PathName, linear, spherical
from lightning_gen.latent.plane import Plane, coordinate_plane, normal_quantiles, principal_plane
from lightning_gen.latent.projection import PCA, TSNE, UMAP, Projected, Projection, to_plane
from lightning_gen.latent.search import descend

__all__ = [
    "PATHS",
    "PCA",
    "TSNE",
    "UMAP",
    "PathName",
    "Plane",
    "Projected",
    "Projection",
    "coordinate_plane",
    "descend",
    "linear",
    "normal_quantiles",
    "principal_plane",
    "spherical",
    "to_plane",
]
