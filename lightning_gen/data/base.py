"""What all datasets share: splits, loaders, and the conversion of a batch on the device."""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, ClassVar, get_args

import torch
from jaxtyping import Float, Int
from lightning.pytorch import LightningDataModule
from torch import Tensor

from lightning_gen.contracts import Batch, DataInfo, ImageShape
from lightning_gen.data.interfaces import Binarize, ImagesOn, Movable, Source
from lightning_gen.data.loader import (
    CPU,
    BatchLoader,
    Split,
    TensorSource,
    images_of_an_epoch,
    shuffled,
)
from lightning_gen.data.trainer import check_labels, fingerprint, go_on, placed
from lightning_gen.errors import UserError
from lightning_gen.hyperparameters import KeepsArguments
from lightning_gen.noise import uniform_like

STAGES = {"train": "fit", "val": "fit", "test": "test"}
"""Lightning's stage that needs a split."""


class ImageDataModule(KeepsArguments, LightningDataModule, ABC):
    """A dataset of images with a training, a validation and a test split.

    Models are given float32 images in [0, 1] of shape [N, C, H, W], converted on the device.

    Attributes:
        info: what is known before any download; set in a class, or before ``super().__init__``.
        num_workers: processes that fetch batches ahead; unused for datasets held in memory.
        sided: a mirrored image would have another label, or other factors.

    Args:
        batch_size: images a batch on each device.
        val_fraction: share of the training images kept for validation, the same ones each time;
            0 trains on all. Unused where the dataset brings a validation split.
        binarize: make pixels 0 or 1 with probability equal to their grey level: "static" draws
            once, "dynamic" at every training step (evaluation keeps to one draw). Only binary
            images make a Bernoulli likelihood a likelihood.
        train_classes: names of the classes that are trained and validated on, the normal ones of
            anomaly detection; None takes all. The test split keeps every class.
        images_on: "accelerator" or "cpu" holds decoded images there; "auto" holds them on a GPU if
            they take at most half of its free memory.
        mirror: turn each training image left to right with probability 1/2, at every step.
    """

    info: DataInfo
    num_workers = 0
    sided: ClassVar[bool] = False

    def __init__(
        self,
        batch_size: int = 128,
        val_fraction: float = 0.1,
        binarize: Binarize | None = None,
        train_classes: tuple[str, ...] | None = None,
        images_on: ImagesOn = "auto",
        mirror: bool = False,
    ) -> None:
        super().__init__()
        what = "what is known of the images, a DataInfo"
        remedy = "Set it to DataInfo(image_shape=...) in the class, or before super().__init__."
        expect(hasattr(self, "info"), "info", what, "nothing", remedy)
        classes = self.info.class_names
        among = ", ".join(classes if len(classes) <= 40 else (*classes[:3], "...", classes[-1]))
        for name in train_classes or ():
            expect(name in classes, "train_classes", f"a list of names among {among}",
                   repr(name), "Leave it out to train on all classes.")  # fmt: skip
        expect(binarize in (None, *get_args(Binarize)), "binarize", "static, dynamic or nothing",
               repr(binarize), "Leave it out for grey levels.")  # fmt: skip
        expect(images_on in get_args(ImagesOn), "images_on", "auto, cpu or accelerator",
               repr(images_on), "Set it to auto.")  # fmt: skip
        expect(batch_size >= 1, "batch_size", "at least 1", batch_size, "Set it to 128.")
        share = "the share of training images kept for validation, at least 0 and below 1"
        expect(0 <= val_fraction < 1, "val_fraction", share, val_fraction, "Set it to 0.1.")
        normal = tuple(classes.index(name) for name in train_classes or ())
        self.info = replace(self.info, normal_classes=normal)
        self.batch_size = batch_size
        self.val_fraction = val_fraction
        self.binarize = binarize
        expect(not (mirror and self.sided), "mirror", f"off for {type(self).__name__}", mirror,
               "Leave it out: a mirrored image would have another label, or factors.")  # fmt: skip
        self.images_on: ImagesOn = images_on
        self.mirror = mirror
        self.splits: dict[str, Split] = {}
        self.order_seed: int | None = None

    def __repr__(self) -> str:
        sizes = [f"{len(split):,} {name}" for name, split in self.splits.items()]
        known = ["x".join(map(str, self.image_shape)) + " pixels"]
        if len(self.info.class_names) > 1:
            known.append(f"{len(self.info.class_names)} classes")
        if self.info.factor_names:
            known.append(f"factors {', '.join(self.info.factor_names)}")
        about = ", ".join([*known, f"batches of {self.batch_size}"])
        return f"{type(self).__name__}({about}; {', '.join(sizes) or 'nothing loaded yet'})"

    __str__ = __repr__  # Lightning's loads the data

    @property
    def image_shape(self) -> ImageShape:
        """(channels, height, width)."""
        return self.info.image_shape

    @abstractmethod
    def load(self, split: str) -> Source:
        """The images of "train", those for validation included, or of "test"."""

    def load_val(self) -> Source | None:
        """The dataset's own validation images; None where they are cut from the training images."""
        return None

    def groups(self, train: Source) -> Tensor:
        """The group of each training image, which validation gets as a whole; each its own here."""
        return torch.arange(len(train))

    def setup(self, stage: str) -> None:
        """Load the splits that the stage needs; training never loads the test split."""
        if stage == "fit":
            self.order_seed = None
        if stage in ("fit", "validate") and "train" not in self.splits:
            self.splits |= self._training_splits(self.load("train"), self.load_val())
        if stage in ("test", "predict") and "test" not in self.splits:
            self.splits["test"] = self._evaluated(self.load("test"))

    def train_dataloader(self) -> BatchLoader:
        """Batches in an order given by (seed, epoch), which all processes share.

        With ``trainer.overfit_batches`` the order is the same in each epoch.
        """
        self._provide("train")
        if self.order_seed is None:
            # Lightning's seed_everything makes this the run's seed; without it, each process has
            # another.
            seed = torch.initial_seed()
            self.order_seed = int(self.trainer.strategy.broadcast(seed)) if self.trainer else seed
        if getattr(self.trainer, "overfit_batches", 0):
            return self._loader("train", overfits=True)
        return self._loader("train", self.order_seed)

    def val_dataloader(self) -> BatchLoader | list[BatchLoader]:
        """Batches in a fixed order; an empty list where there is no validation split."""
        self._provide("train")
        return self._loader("val") if "val" in self.splits else []

    def test_dataloader(self) -> BatchLoader:
        """Batches in a fixed order."""
        return self.in_order("test")

    predict_dataloader = test_dataloader

    def in_order(self, split: str, batch_size: int | None = None) -> BatchLoader:
        """All batches of "train", "val" or "test" in a fixed order.

        Raises:
            UserError: there is no such split.
        """
        self._provide(split)
        if split not in self.splits:
            raise UserError(
                f"{type(self).__name__} has no {split} split: data.val_fraction is "
                f"{self.val_fraction}. Choose --split test or train."
            )
        return self._loader(split, batch_size=batch_size)

    def batch(self, split: str, n: int = 16) -> Batch:
        """The first ``n`` images of "train", "val" or "test", as a model gets them.

        That is float32 in [0, 1], [n, C, H, W], on the CPU.

        Raises:
            UserError: there is no such split.
        """
        expect(n >= 1, "batch", "at least one image", n, "Ask for 16.")
        return self.on_after_batch_transfer(next(iter(self.in_order(split, n))), 0)

    def mean_image(self, num_images: int = 512) -> Float[Tensor, "c h w"]:
        """The mean of training images, chosen at random, in [0, 1], on the CPU."""
        self._provide("train")
        first = self.splits["train"].at(slice(num_images))
        batch = first[[*range(len(first))]]
        return self.on_after_batch_transfer(batch, 0).images.mean(dim=0).cpu()

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must know of the data: which images, and the seed of their order."""
        trained_on = fingerprint(self)
        return trained_on and {"trained_on": trained_on, "order_seed": self.order_seed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on in the order of a checkpoint; warn of a validation on other images.

        A UserError says that training is to go on, and that was on other images.
        """
        go_on(self, state_dict)

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """The batch where the model is; Lightning looks through the parts of one that is there."""
        if batch.images.device == device:
            return batch
        moved: Batch = super().transfer_batch_to_device(batch, device, dataloader_idx)
        return moved

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """uint8 to float32 in [0, 1], mirrored and binarised in training, on the device."""
        images = batch.images.float().div_(255)
        if self.trainer is None or not self.trainer.training:
            return batch._replace(images=images)
        if self.mirror:
            turned = uniform_like(images[:, :1, :1, :1]) < 0.5
            images = torch.where(turned, images.flip(3), images)
        if self.binarize == "dynamic":
            images = (uniform_like(images) < images).to(images.dtype)
        return batch._replace(images=images)

    def _training_splits(self, train: Source, val: Source | None) -> dict[str, Split]:
        whole = Split.of(train)
        if self.binarize == "static":
            whole = whole.binarized()
        normal = whole.are_of(self.info.normal_classes)
        if val is not None:
            held = self._evaluated(val)
            what = "classes of which there are images to train on"
            expect(bool(normal.any()), "train_classes", what, [*self.info.normal_classes],
                   "Add some.")  # fmt: skip
            normal_ones = held.at(held.are_of(self.info.normal_classes))
            return {"train": whole.at(normal).shuffled(), "val": normal_ones}
        kept, held_out = cut(self.groups(train)[normal], self.val_fraction, "data.val_fraction")
        splits = {"train": whole.at(normal).at(kept), "val": whole.at(normal).at(held_out)}
        if len(held_out) == 0:
            del splits["val"]
        elif self.binarize == "dynamic" and isinstance(whole.source, TensorSource):
            own = whole.source.subset(splits["val"].indices.sort().values)
            splits["val"] = self._evaluated(own)
        return splits

    def _evaluated(self, source: Source) -> Split:
        """All images of a source, shuffled."""
        split = Split.of(source).shuffled()
        return split if self.binarize is None else split.binarized()

    def _provide(self, split: str) -> None:
        """Set up what holds a split, where nobody has."""
        if split not in self.splits and (split != "val" or "train" not in self.splits):
            self.prepare_data()
            self.setup(STAGES.get(split, "test"))

    def _loader(
        self,
        name: str,
        seed: int | None = None,
        batch_size: int | None = None,
        *,
        overfits: bool = False,
    ) -> BatchLoader:
        batch_size = batch_size or self.batch_size
        shard, accelerator = (0, 1), CPU
        if self.trainer is not None:
            check_labels(self.splits[name], name, self.trainer.lightning_module)
            shard = self.trainer.global_rank, self.trainer.world_size
            accelerator = self.trainer.strategy.root_device
        if self.splits[name].placed_for != accelerator:
            source = self.splits[name].source
            moved = placed(source, accelerator, self.images_on, name)
            for other, its in self.splits.items():
                if its.source is source:
                    self.splits[other] = Split(moved, its.indices.to(moved.device), accelerator)
        split = self.splits[name]
        if overfits:
            split = split.at(slice(images_of_an_epoch(len(split), batch_size, shard[1])))
        return BatchLoader(
            split,
            batch_size,
            seed,
            shard,
            num_workers=0 if isinstance(split.source, Movable) else self.num_workers,
            pin_memory=(split.source.device.type, accelerator.type) == ("cpu", "cuda"),
        )


def expect(holds: bool, argument: str, what: str, got: object, remedy: str) -> None:
    """Raise a UserError that says ``what`` an argument is, unless it ``holds``."""
    if not holds:
        raise UserError(f"data.{argument} is {what}, got {got}. {remedy}")


def check_tested(test_fraction: float, num_workers: int) -> None:
    """Raise a UserError where one is no share of images to test on, or no number of processes."""
    what = "the share of all images kept for testing, above 0 and below 1"
    expect(0 < test_fraction < 1, "test_fraction", what, test_fraction, "Set it to 0.1.")
    expect(num_workers >= 0, "num_workers", "at least 0", num_workers, "Set it to 4.")


def cut(groups: Int[Tensor, " n"], fraction: float, argument: str) -> tuple[Tensor, Tensor]:
    """Hold out ``fraction`` of groups of images, the same ones each time, each as a whole.

    What comes back are the positions that are kept and those held out, both shuffled.

    Args:
        groups: the number of the group of each image, such as those that look alike.
        fraction: share of the groups that is held out, at least 0 and below 1.
        argument: the user's name for ``fraction``, for the message.

    Raises:
        UserError: nothing is left to keep, or to hold out although ``fraction`` is not 0.
    """
    numbers, members = torch.unique(groups, return_inverse=True)
    count = len(numbers)
    num_held_out = round(count * fraction)
    if num_held_out == count or (num_held_out == 0 and fraction > 0):
        raise UserError(
            f"{argument} {fraction} holds out {num_held_out} of {count} images and leaves "
            f"{count - num_held_out} to train on, expected at least one of each. Add images or "
            "change the fraction."
        )
    held_out = torch.zeros(count, dtype=torch.bool)
    held_out[shuffled(count)[:num_held_out]] = True
    order = shuffled(len(groups))
    apart = held_out[members[order]]
    return order[~apart], order[apart]
