"""The way from one image to another through the latent space."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from lightning_gen import contracts
from lightning_gen.contracts import Codes, Encodes, SamplesCodes, able, condition_on, require
from lightning_gen.errors import UserError
from lightning_gen.latent import PATHS, PathName
from lightning_gen.pictures.codes import device_of
from lightning_gen.pictures.picture import (
    Picture,
    Seen,
    View,
    decode_all,
    unique,
)


@dataclass(frozen=True)
class Interpolation(Picture):
    """The way from one image to the next through their codes, a pair a row.

    The first image goes to the second, the third to the fourth, and so on; they stand at both ends,
    beside what the model makes of their codes. A model without an encoder is shown between draws of
    its prior, and another one where ``of_draws`` asks for it.

    Args:
        num_pairs: how many pairs.
        steps: decoded codes in a row, those of both ends included.
        path: "linear", or "spherical" along a great arc.
        of_draws: walk between draws of the prior.
    """

    requires = contracts.WALKS
    film = True
    least: ClassVar[dict[str, int]] = {"num_pairs": 1, "steps": 2}

    num_pairs: int = 6
    steps: int = 10
    path: PathName = "linear"
    of_draws: bool = False

    @property
    def looks_at(self) -> int:
        """Both ends of each pair."""
        return 0 if self.of_draws else 2 * self.num_pairs

    @property
    def num_drawn(self) -> int:
        """The rows, with the images at their ends."""
        return self.num_pairs * (self.steps + 2)

    def draw(self, model: Any, seen: Seen) -> View:  # noqa: ANN401
        """A row for each pair; a UserError where there is but one image."""
        columns = [f"{position:.2g}" for position in torch.linspace(0, 1, self.steps).tolist()]
        if self.of_draws:
            require(model, (SamplesCodes,), "a walk between draws", "Walk between images.")
        alone = seen.codes if seen.batch is None else None
        if alone is None and (self.of_draws or not able(model, (Encodes,))):
            codes = model.sample_codes(2 * self.num_pairs)
            return self._between(model, codes, "draws of the prior", columns)
        ends = seen.required_batch.images if alone is None else alone.codes
        even = 2 * (len(ends) // 2)
        if even == 0:
            raise UserError("an interpolation takes at least 2 images, got 1. Take more images.")
        if alone is not None:
            ends = ends[:even].to(device_of(model))
            return self._between(model, ends, f"the codes of {seen.what}", columns)
        batch = seen.required_batch.first(even)
        rows = self._decoded(model, condition_on(model, batch).encode(batch.images).float())
        first, last = batch.images[::2, None], batch.images[1::2, None]
        names = unique([f"{seen.name_of(n)} to {seen.name_of(n + 1)}" for n in range(0, even, 2)])
        return View(
            dict(zip(names, torch.cat([first, rows, last], dim=1), strict=True)),
            f"Interpolation, {self.path}, between {seen.what}",
            ("image", *columns, "image"),
        )

    def _between(self, model: Any, codes: Codes, ends: str, columns: list[str]) -> View:  # noqa: ANN401
        """A row for every two codes."""
        rows = self._decoded(model, codes)
        title = f"Interpolation, {self.path}, between {ends}"
        return View(dict(zip(unique(["pair"] * len(rows)), rows, strict=True)), title, (*columns,))

    def _decoded(self, model: Any, codes: Codes) -> torch.Tensor:  # noqa: ANN401
        """Images [pairs, steps, C, H, W] at even positions between every two codes."""
        paths = PATHS[self.path](codes[::2], codes[1::2], self.steps)
        images = decode_all(model, paths.flatten(0, 1))
        return images.view(*paths.shape[:2], *images.shape[1:])
