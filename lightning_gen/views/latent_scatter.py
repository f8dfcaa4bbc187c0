"""Codes in a plane, coloured by class."""

from collections.abc import Sequence

from lightning_gen.contracts import Codes
from lightning_gen.figures import Pixels, scatter, to_array
from lightning_gen.latent import Projection, to_plane
from lightning_gen.views.codes import LabelledCodes


def latent_scatter(
    codes: LabelledCodes,
    class_names: Sequence[str],
    projection: Projection,
    what: str,
    *,
    total: int,
    like: Codes | None = None,
) -> Pixels:
    """A point an image.

    Args:
        codes: codes of images, without conditions.
        class_names: a name for each label.
        projection: lays out codes of more than two dimensions.
        what: whose codes these are, for the title.
        total: how many images there are; the title says it where only the first were encoded.
        like: codes of another split, whose principal axes are used.
    """
    points, axes = to_plane(codes.codes, projection, like)
    count = len(codes.codes)
    number = f"{count:,}" if count == total else f"the first {count:,} of {total:,}"
    return to_array(scatter(points, codes.labels, class_names, f"Codes of {number} {what}", axes))
