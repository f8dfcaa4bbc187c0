"""Codes of many dimensions in two."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple
from warnings import catch_warnings

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from lightning_gen.contracts import Codes
from lightning_gen.errors import UserError
from lightning_gen.latent.plane import check_finite, principal_components

WIDEST = 50
"""Codes of more dimensions go through PCA to so many before t-SNE and UMAP, as is usual."""


class Projected(NamedTuple):
    """Points in a plane, and what its two axes are."""

    points: Float[Tensor, "n 2"]
    axes: tuple[str, str]


class Projection(ABC):
    """A way to lay out codes in a plane."""

    @abstractmethod
    def project(self, codes: Codes, like: Float[Tensor, "m d"] | None = None) -> Projected:
        """The points of codes [N, D], D > 2.

        Axes are those of ``like``, other codes of the same model such as those of the validation
        split, where the projection has any, so that two pictures can be compared.
        """


@dataclass(frozen=True)
class PCA(Projection):
    """The two principal components."""

    def project(self, codes: Codes, like: Float[Tensor, "m d"] | None = None) -> Projected:
        """Linear, so distances in the plane are at most those of the codes."""
        pca = principal_components(codes if like is None else like)
        missing = 2 - len(pca.axes)  # one code has one component
        first, second = F.pad(100 * pca.shares, (0, missing)).tolist()
        return Projected(
            F.pad(pca.project(codes), (0, missing)).float(),
            (
                f"principal component 1 ({first:.0f} % of the variance)",
                f"principal component 2 ({second:.0f} %)",
            ),
        )


@dataclass(frozen=True)
class TSNE(Projection):
    """t-SNE (van der Maaten & Hinton 2008): neighbours stay neighbours, distances mean little.

    Attributes:
        perplexity: about how many neighbours each point has; lowered where there are few points.
        seed: of its start.
    """

    perplexity: float = 30.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if not self.perplexity > 0:
            raise UserError(f"TSNE.perplexity is above 0, got {self.perplexity}. Set it to 30.")

    def project(self, codes: Codes, like: Float[Tensor, "m d"] | None = None) -> Projected:
        """Seconds for some thousands of codes, and more than linear."""
        from sklearn import manifold  # here: it takes half a second

        narrow = narrowed(codes)
        perplexity = min(self.perplexity, max(1.0, (len(narrow) - 1) / 3))
        tsne = manifold.TSNE(perplexity=perplexity, init="pca", random_state=self.seed)
        return Projected(
            torch.from_numpy(tsne.fit_transform(narrow)).float(), ("t-SNE 1", "t-SNE 2")
        )


@dataclass(frozen=True)
class UMAP(Projection):
    """UMAP (McInnes, Healy & Melville 2018, arXiv:1802.03426), of the package umap-learn.

    Attributes:
        neighbors: of each point; lowered where there are few points.
        min_distance: between points in the plane.
        seed: of its start.
    """

    neighbors: int = 15
    min_distance: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if self.neighbors < 2 or not 0 <= self.min_distance <= 1:
            raise UserError(
                "UMAP takes 2 neighbors or more and a min_distance from 0 to 1, got "
                f"{self.neighbors} and {self.min_distance}. Set them to 15 and 0.1."
            )

    def project(self, codes: Codes, like: Float[Tensor, "m d"] | None = None) -> Projected:
        """As t-SNE, with more of the layout at large."""
        try:
            with catch_warnings(action="ignore"):  # it misses an optional package of its own
                from umap import UMAP as Umap  # noqa: N811  (an optional package)
        except ImportError as error:
            raise UserError(
                'UMAP is not installed. Run: pip install "lightning-gen[umap]", or take TSNE.'
            ) from error
        neighbors = min(self.neighbors, len(codes) - 1)
        umap = Umap(
            n_neighbors=neighbors,
            min_dist=self.min_distance,
            init="spectral" if len(codes) > 4 else "random",  # it has as many vectors as codes
            random_state=self.seed,
            n_jobs=1,
        )
        threads = torch.get_num_threads()
        with catch_warnings(action="ignore"):  # its own calls to scikit-learn
            points = umap.fit_transform(narrowed(codes))
        torch.set_num_threads(threads)  # numba, which it uses, sets those of the whole process
        return Projected(torch.from_numpy(np.asarray(points)).float(), ("UMAP 1", "UMAP 2"))


def check_seed(seed: int) -> None:
    """Raise a UserError unless scikit-learn takes the seed."""
    if not 0 <= seed < 2**32:
        raise UserError(f"seed is from 0 to {2**32 - 1}, got {seed}.")


def to_plane(
    codes: Codes, projection: Projection, like: Float[Tensor, "m d"] | None = None
) -> Projected:
    """Codes of one or two dimensions as they are, others by the projection."""
    check_finite(codes)
    size = codes.shape[1]
    if size == 2:
        return Projected(codes.float().cpu(), ("z0", "z1"))
    if size == 1:
        line = codes.float().cpu()
        return Projected(torch.cat([line, torch.zeros_like(line)], dim=1), ("z0", ""))
    # Few codes, or those of a collapsed model: the others divide by their spread.
    if len(codes) < 3 or (codes == codes[0]).all():
        return PCA().project(codes, like)
    return projection.project(codes, like)


def narrowed(codes: Codes) -> NDArray[np.float32]:
    """At most ``WIDEST`` principal components of the codes."""
    narrow = (
        codes if codes.shape[1] <= WIDEST else principal_components(codes, WIDEST).project(codes)
    )
    array: NDArray[np.float32] = narrow.float().cpu().numpy()
    return array
