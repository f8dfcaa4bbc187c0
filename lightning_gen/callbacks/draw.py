"""Draws pictures of the model during training."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.trainer.states import RunningStage
from matplotlib.figure import Figure

from lightning_gen.callbacks.drawing import LATEST, Drawing, averaging, batches, due, moment
from lightning_gen.contracts import (
    Batch,
    Encodes,
    TrainsDiscriminator,
    able,
    as_batch,
    info_of,
)
from lightning_gen.errors import UserError, check_objects
from lightning_gen.figures.style import Pixels, to_array
from lightning_gen.pictures import Names, Picture, Samples, Seen
from lightning_gen.pictures.codes import LabelledCodes, codes_of, join, without_condition


class Draw(Drawing):
    """Draws pictures of the first validation images, and of what a model makes of them.

    Images come from the first training batch where there is no validation; then no codes are drawn.
    On several devices they are the first ones of rank zero's share. A test is drawn too by those
    pictures that say so, with "_test" at the end of their names.

    Args:
        pictures: what is drawn.
    """

    def __init__(self, pictures: Picture | Sequence[Picture]) -> None:
        super().__init__()
        listed = [*pictures] if isinstance(pictures, Sequence) else [pictures]
        check_objects("pictures", listed, Picture)
        self.pictures = {picture.name: picture for picture in listed}
        if len(self.pictures) < len(listed):
            names = sorted(picture.name for picture in listed)
            raise UserError(
                f"pictures are of different kinds, got {', '.join(names)}. Leave one out."
            )
        self._training: Batch | None = None
        self._validation: Batch | None = None
        self._codes: dict[str, tuple[LabelledCodes | None, bool]] = {}
        self._axes: LabelledCodes | None = None

    def names(self) -> Sequence[str]:
        """Those of the pictures."""
        return [*self.pictures]

    def is_due(self, trainer: Trainer, name: str) -> bool:
        """Whether the present epoch ends with this picture."""
        picture = self.pictures[name]
        return not picture.takes_long and due(trainer, picture.every_n_epochs, picture.usual_epochs)

    def keeps_all(self, name: str) -> bool:
        """Whether the user has said how often it is drawn."""
        return self.pictures[name].every_n_epochs is not None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Raise a UserError when the model or the data lack what a picture shows."""
        for picture in self.pictures.values():
            picture.check(pl_module, names_of_data(trainer))
        self._training = self._validation = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, _: object, batch: object, *rest: object
    ) -> None:
        """Keep images of the first training batch, where it is one of images."""
        if self._training is None:
            with suppress(UserError):
                kept = as_batch(batch).first(self._most(of_codes=False))
                self._training = Batch(*(part.clone() for part in kept))

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the test."""
        names = [name for name, picture in self.pictures.items() if picture.of_test]
        self.draw_all(trainer, pl_module, names, "_test")

    def draw_all(
        self, trainer: Trainer, pl_module: LightningModule, names: Sequence[str], ending: str = ""
    ) -> None:
        """Publish these pictures; the codes of images are computed once for all of them.

        Samples of a GAN whose weights are averaged are drawn with the latest weights, too.
        """
        super().draw_all(trainer, pl_module, names, ending)
        if (
            isinstance(pl_module, TrainsDiscriminator)
            and not trainer.testing
            and averaging(trainer)
        ):
            drawn = [name for name in names if isinstance(self.pictures[name], Samples)]
            super().draw_all(trainer, pl_module, drawn, LATEST)
        self._codes = {}

    def draw(self, trainer: Trainer, pl_module: LightningModule, name: str) -> Pixels:
        """The picture."""
        split = "test" if trainer.testing else "validation"
        picture = self.pictures[name]
        drawn = picture.draw(pl_module, self._seen(trainer, pl_module, picture, split))
        if isinstance(drawn, Figure):
            return to_array(drawn)
        return drawn.pixels(f"at {moment(trainer)}")

    def _seen(self, trainer: Trainer, model: LightningModule, picture: Picture, split: str) -> Seen:
        count, known = picture.looks_at, dict[str, Any]()
        if picture.of_codes and able(model, (Encodes,)):
            codes, complete = self._encoded(trainer, model, split)
            if codes is not None:
                complete = complete and len(codes.codes) <= count
                known = {"codes": codes.first(count), "complete": complete}
            if split == "test" and self._axes is not None:
                known["like"] = without_condition(model, self._axes).codes
            elif split == "validation":
                self._axes = codes
        elif count and not picture.of_codes:
            if self._validation is None:
                found = [*filter(None, portions(trainer, split, self._most(of_codes=False)))]
                self._validation = Batch.joined(found) if found else None
            split = "validation" if self._validation else "training"
            kept = self._validation or self._training
            known = {"batch": kept and kept.first(count)}
        known |= {"names": names_of_data(trainer), "when": f"at {moment(trainer)}"}
        return Seen(f"{split} images", **known)

    def _encoded(
        self, trainer: Trainer, model: LightningModule, split: str
    ) -> tuple[LabelledCodes | None, bool]:
        """The codes of the first images of a split, and whether there are no more images."""
        if split not in self._codes:
            parts = portions(trainer, split, self._most(of_codes=True))
            found = [part and codes_of(model, part) for part in parts]
            codes = [*filter(None, found)]
            self._codes[split] = join(codes) if codes else None, None not in found
        return self._codes[split]

    def _most(self, *, of_codes: bool) -> int:
        """How many images the pictures look at, as codes or as images."""
        counts = (p.looks_at for p in self.pictures.values() if p.of_codes == of_codes)
        return max(counts, default=0)


def portions(trainer: Trainer, split: str, count: int) -> Iterator[Batch | None]:
    """The first images of a split in batches, where the model is; None where more are left out."""
    stage, trainer.state.stage = trainer.state.stage, RunningStage.VALIDATING  # no augmentation
    try:
        for batch in map(as_batch, batches(trainer, split)):
            if count > 0:
                yield batch.first(count)
            count -= len(batch.images)
            if count < 0:
                yield None
                return
    finally:
        trainer.state.stage = stage


def names_of_data(trainer: Trainer) -> Names:
    """The names of labels and factors; none where they are not known."""
    info = info_of(trainer.datamodule)  # type: ignore[attr-defined]
    return Names(info.class_names, info.factor_names) if info else Names()
