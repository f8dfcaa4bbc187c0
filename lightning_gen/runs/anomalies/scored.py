"""Images with their anomaly scores."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np
import torch
from matplotlib import colormaps
from PIL import Image
from torch import Tensor

from lightning_gen.atomic import no_formula
from lightning_gen.contracts import NO_CLASS
from lightning_gen.figures.grid import GAP, PAPER, enlarged
from lightning_gen.metrics import AUROC
from lightning_gen.runs.anomalies.masks import Masks
from lightning_gen.runs.anomalies.scorer import Judged, ScoreName, score_of
from lightning_gen.runs.inputs import NamedBatch
from lightning_gen.training.scores import with_error

COLOURS = colormaps["inferno"]
MOST_GROUPS = 7
"""Of a chart."""


class ShownImage(NamedTuple):
    """An image that is shown: its score, and where its reconstruction [C, H, W] differs [H, W]."""

    name: str
    value: float
    image: Tensor
    reconstruction: Tensor
    error: Tensor


class Scored:
    """Images and their anomaly scores, the higher the more unusual.

    Args:
        by: the score that ranks them.
        normal: the classes or folders of images that are normal.
        folder: what the images of no class and no folder are called.
        masks: which pixels are not.
        num_shown: how many of the most unusual are kept with their pictures, in ``shown``.
    """

    def __init__(
        self,
        by: ScoreName,
        normal: Sequence[str],
        folder: str,
        masks: Masks | None,
        num_shown: int,
    ) -> None:
        self.by, self.normal, self.masks = by, normal, masks
        self._folder = folder
        self.names: list[str] = []
        self.kinds: list[str] = []
        self.values: dict[ScoreName, list[float]] = {}
        self.shown: list[ShownImage] = []
        self._num_shown = num_shown

    def add(self, part: NamedBatch, judged: Judged, class_names: Sequence[str]) -> None:
        """Add a batch; an image is of its class, or else of its folder."""
        labels = part.batch.labels.tolist()
        kinds = [
            class_names[label]
            if len(class_names) > 1 and label != NO_CLASS
            else PurePosixPath(name).parent.name or self._folder
            for name, label in zip(part.names, labels, strict=True)
        ]
        self.names += part.names
        self.kinds += kinds
        ranked = score_of(judged, self.by).tolist()
        for name, values in judged.values.items():
            self.values.setdefault(name, []).extend(values.tolist())
        if self.masks:
            self.masks.see(part.names, kinds, self.normal, judged.errors)
        pictures = (part.batch.images, judged.reconstructions, judged.errors)
        self.shown += map(ShownImage, part.names, ranked, *(each.cpu() for each in pictures))
        best = sorted(self.shown, key=lambda each: each.value, reverse=True)[: self._num_shown]
        # Copies: a part of a batch keeps the whole batch in memory.
        self.shown = [ShownImage(*each[:2], *(t.clone() for t in each[2:])) for each in best]

    @property
    def ranked(self) -> list[float]:
        """The score that ranks the images, of each."""
        return self.values[self.by]

    def by_kind(self) -> dict[str, list[float]]:
        """The same by class or folder; normal and other ones where there are many of these."""
        groups: dict[str, list[float]] = {}
        few = len({*self.kinds}) <= MOST_GROUPS
        for kind, value in zip(self.kinds, self.ranked, strict=True):
            name = kind if few else "normal" if kind in self.normal else "unusual"
            groups.setdefault(name, []).append(value)
        return groups

    def areas(self) -> dict[str, str]:
        """The AUROC of each score with its standard error; none where all images are alike."""
        anomalous = torch.tensor([kind not in self.normal for kind in self.kinds])
        if min(anomalous.sum(), (~anomalous).sum()) < 2:
            return {}
        found: dict[str, str] = {}
        for name, values in self.values.items():
            auroc = AUROC()
            auroc.update(torch.tensor(values), anomalous)
            value, error = auroc.compute()
            found[name] = with_error(float(value), float(error))
        if self.masks and (area := self.masks.area()) is not None:
            found["squared_error of each pixel"] = f"{area:.3f}"
        return found

    def pictures(self) -> Iterator[tuple[int, Image.Image]]:
        """The place of each image that is shown, and it beside its reconstruction and its error."""
        brightest = max((float(each.error.max()) for each in self.shown), default=1.0) or 1.0
        for place, (_, _, image, reconstruction, error) in enumerate(self.shown):
            heat = torch.from_numpy(COLOURS(error.numpy() / brightest)[..., :3]).permute(2, 0, 1)
            tiles = [enlarged(each[None])[0] for each in (image, reconstruction, heat)]
            gap = np.full((tiles[0].shape[0], GAP, 3), PAPER, dtype=np.uint8)
            first, *others = tiles
            strip = [first, *(part for tile in others for part in (gap, tile))]
            yield place, Image.fromarray(np.concatenate(strip, axis=1))

    def rows(self, threshold: float | None) -> Iterator[list[object]]:
        """The lines of a table, the most unusual image first."""
        yield ["rank", "name", "kind", *self.values, *([] if threshold is None else ["unusual"])]
        order = sorted(range(len(self.names)), key=self.ranked.__getitem__, reverse=True)
        for rank, place in enumerate(order, start=1):
            unusual = threshold is not None and self.ranked[place] > threshold
            above = [] if threshold is None else ["yes" if unusual else "no"]
            numbers = [f"{values[place]:.7g}" for values in self.values.values()]
            words = map(no_formula, (self.names[place], self.kinds[place]))
            yield [rank, *words, *numbers, *above]
