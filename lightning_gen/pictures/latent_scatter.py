"""Where the codes of images lie."""

from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from lightning_gen import contracts
from lightning_gen.figures.scatter import scatter
from lightning_gen.latent import PCA, Projection, to_plane
from lightning_gen.pictures.codes import without_condition
from lightning_gen.pictures.picture import CodePicture, Seen


@dataclass(frozen=True)
class LatentScatter(CodePicture):
    """The codes of images, without conditions, coloured by class; a test is drawn, too.

    Codes of two dimensions are drawn as they are.

    Args:
        num_images: the first so many are encoded.
        projection: lays out codes of more than two dimensions: PCA, at once, or TSNE or UMAP, which
            take seconds to minutes and are therefore drawn at the end of training alone.
    """

    requires = (contracts.Encodes,)
    of_test = True

    projection: Projection = PCA()  # noqa: RUF009  (frozen)

    @property
    def takes_long(self) -> bool:
        """Whether the projection is another one than PCA."""
        return not isinstance(self.projection, PCA)

    def draw(self, model: Any, seen: Seen) -> Figure:  # noqa: ANN401
        """A point an image."""
        known = self.codes_of(seen)
        codes = without_condition(model, known)
        points, axes = to_plane(codes.codes, self.projection, seen.like)
        number = f"{'' if seen.complete else 'the first '}{len(points):,}"
        title = f"Codes of {number} {seen.what} {seen.when}".rstrip()
        return scatter(points, codes.labels, seen.names.classes, title, axes)
