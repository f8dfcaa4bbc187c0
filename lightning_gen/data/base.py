"""What all datasets share: splits, loaders, and the conversion of a batch on the device."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from lightning.pytorch import LightningDataModule
from torch import Tensor

from lightning_gen.contracts import Batch, ImageShape
from lightning_gen.data.loader import BatchLoader, Source
from lightning_gen.data.placement import ImagesOn, Movable, placed
from lightning_gen.data.sources import TensorSource
from lightning_gen.data.splits import Split, cut
from lightning_gen.errors import UserError
from lightning_gen.noise import uniform_like

Binarize = Literal["static", "dynamic"]


class ImageDataModule(LightningDataModule, ABC):
    """A dataset of images with a training, a validation and a test split.

    Models are given float32 images in [0, 1] of shape [N, C, H, W], converted on the device.

    Attributes:
        image_shape: (channels, height, width), known before any download, as all of these are.
        class_names: a name for each label; one name where there are no classes.
        factor_names: a name for each column of ``Batch.factors``.
        factor_sizes: number of values of each factor.
        normal_classes: numbers of the ``train_classes``; empty where all are trained on.

    Args:
        batch_size: images a batch on each device.
        val_fraction: share of the training images kept for validation, the same ones each time;
            0 trains on all. Unused where the dataset brings a validation split.
        num_workers: processes that decode ahead; unused for datasets held in memory.
        binarize: make pixels 0 or 1 with probability equal to their grey level: "static" draws
            once, "dynamic" at every training step (evaluation keeps to one draw).
        train_classes: names of the classes that are trained and validated on, the normal ones of
            anomaly detection; None takes all. The test split keeps every class.
        images_on: "accelerator" or "cpu" holds decoded images there; "auto" holds them on a GPU if
            they take at most half of its free memory.
    """

    image_shape: ImageShape
    class_names: tuple[str, ...] = ("image",)
    factor_names: tuple[str, ...] = ()
    factor_sizes: tuple[int, ...] = ()

    def __init__(
        self,
        batch_size: int,
        val_fraction: float,
        num_workers: int = 0,
        binarize: Binarize | None = None,
        train_classes: Sequence[str] | None = None,
        images_on: ImagesOn = "auto",
    ) -> None:
        super().__init__()
        for name in train_classes or ():
            if name not in self.class_names:
                raise UserError(
                    f"data.train_classes lists names among {', '.join(self.class_names)}, got "
                    f"{name!r}. Leave it out to train on all classes."
                )
        if batch_size < 1:
            raise UserError(f"data.batch_size is at least 1, got {batch_size}. Set it to 128.")
        if not 0 <= val_fraction < 1:
            raise UserError(
                f"data.val_fraction is the share of training images kept for validation, at least "
                f"0 and below 1, got {val_fraction}. Set it to 0.1."
            )
        if num_workers < 0:
            raise UserError(f"data.num_workers is at least 0, got {num_workers}. Set it to 4.")
        self.batch_size = batch_size
        self.val_fraction = val_fraction
        self.num_workers = num_workers
        self.binarize = binarize
        self.images_on: ImagesOn = images_on
        self.normal_classes = tuple(self.class_names.index(name) for name in train_classes or ())
        self._splits: dict[str, Split] = {}
        self._placed_for: dict[str, torch.device] = {}

    @property
    def num_classes(self) -> int:
        """Number of classes, at least 1."""
        return len(self.class_names)

    @abstractmethod
    def load_train(self) -> Source:
        """The training images, those for validation included."""

    @abstractmethod
    def load_test(self) -> Source:
        """The test images."""

    def load_val(self) -> Source | None:
        """The dataset's own validation images; None where they are cut from the training images."""
        return None

    def setup(self, stage: str) -> None:
        """Load the splits that the stage needs; training never loads the test split."""
        if stage in ("fit", "validate") and "train" not in self._splits:
            self._splits |= self._training_splits(self.load_train(), self.load_val())
        if stage in ("test", "predict") and "test" not in self._splits:
            self._splits["test"] = self._evaluated(self.load_test())

    def train_dataloader(self) -> BatchLoader:
        """Batches in an order given by (seed, epoch)."""
        # Lightning's seed_everything makes the initial seed the run's, the same on every rank.
        return self._loader("train", shuffle_seed=torch.initial_seed())

    def val_dataloader(self) -> BatchLoader | list[BatchLoader]:
        """Batches in a fixed order; an empty list where there is no validation split."""
        return self._loader("val") if "val" in self._splits else []

    def test_dataloader(self) -> BatchLoader:
        """Batches in a fixed order."""
        return self._loader("test")

    def in_order(self, split: str, batch_size: int | None = None) -> BatchLoader:
        """All batches of "train", "val" or "test" in a fixed order, after ``setup``.

        Raises:
            UserError: there is no such split.
        """
        if split not in self._splits:
            raise UserError(
                f"{type(self).__name__} has no {split} split: data.val_fraction is "
                f"{self.val_fraction}. Choose --split test or train."
            )
        return self._loader(split, batch_size=batch_size)

    def mean_image(self, num_images: int = 512) -> Float[Tensor, "c h w"]:
        """The mean of training images at even distances, in [0, 1], on the CPU; after ``setup``."""
        source, indices = self._splits["train"]
        some = torch.linspace(0, len(indices) - 1, min(num_images, len(indices))).long()
        batch = source[indices[some].to(source.device)]
        return self.on_after_batch_transfer(batch, 0).images.mean(dim=0).cpu()

    def predict_dataloader(self) -> BatchLoader:
        """The test split."""
        return self.test_dataloader()

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """The batch where the model is; Lightning looks through the parts of one that is there."""
        if batch.images.device == device:
            return batch
        moved: Batch = super().transfer_batch_to_device(batch, device, dataloader_idx)
        return moved

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """uint8 to float32 in [0, 1], and dynamic binarisation, on the device."""
        images = batch.images.float().div_(255)
        if self.binarize == "dynamic" and self.trainer is not None and self.trainer.training:
            images = (uniform_like(images) < images).to(images.dtype)
        return batch._replace(images=images)

    def _training_splits(self, train: Source, val: Source | None) -> dict[str, Split]:
        if self.binarize == "static" and isinstance(train, TensorSource):
            train = train.binarized()
        if val is not None:
            return {"train": Split.whole(train), "val": self._evaluated(val)}
        if self.normal_classes and isinstance(train, TensorSource):
            normal = torch.isin(train.labels, torch.tensor(self.normal_classes))
            train = train.subset(normal.nonzero().flatten())
        kept, held_out = cut(len(train), self.val_fraction, "data.val_fraction")
        splits = {"train": Split(train, kept)}
        if len(held_out) == 0:
            return splits
        if self.binarize == "dynamic" and isinstance(train, TensorSource):
            return splits | {"val": self._evaluated(train.subset(held_out))}
        return splits | {"val": Split(train, held_out)}

    def _evaluated(self, source: Source) -> Split:
        if self.binarize is not None and isinstance(source, TensorSource):
            source = source.binarized()
        return Split.whole(source)

    def _loader(
        self, name: str, shuffle_seed: int | None = None, batch_size: int | None = None
    ) -> BatchLoader:
        accelerator = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        source, indices = self._place(name, accelerator)
        on_cpu = source.device.type == "cpu"
        return BatchLoader(
            source,
            indices,
            batch_size or self.batch_size,
            shuffle_seed=shuffle_seed,
            rank=self.trainer.global_rank if self.trainer else 0,
            world_size=self.trainer.world_size if self.trainer else 1,
            num_workers=0 if isinstance(source, Movable) else self.num_workers,
            pin_memory=on_cpu and accelerator.type == "cuda",
        )

    def _place(self, name: str, accelerator: torch.device) -> Split:
        """The split, its source where it is to be held; other splits of that source follow."""
        source = self._splits[name].source
        if self._placed_for.get(name) != accelerator:
            moved = placed(source, accelerator, self.images_on, name)
            for other, split in self._splits.items():
                if split.source is source:
                    self._splits[other] = split._replace(source=moved)
                    self._placed_for[other] = accelerator
        return self._splits[name]
