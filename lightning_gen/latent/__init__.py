"""The geometry of codes: paths, planes, sums, layouts. Tensors in, tensors out."""

from lightning_gen.latent.arithmetic import Sum, mean_code
from lightning_gen.latent.paths import PATHS, PathName, linear, spherical
from lightning_gen.latent.plane import Plane, coordinate_plane, normal_quantiles, principal_plane
from lightning_gen.latent.projection import PCA, TSNE, UMAP, Projected, Projection, to_plane
from lightning_gen.latent.traversal import traverse

__all__ = [
    "PATHS",
    "PCA",
    "TSNE",
    "UMAP",
    "PathName",
    "Plane",
    "Projected",
    "Projection",
    "Sum",
    "coordinate_plane",
    "linear",
    "mean_code",
    "normal_quantiles",
    "principal_plane",
    "spherical",
    "to_plane",
    "traverse",
]
