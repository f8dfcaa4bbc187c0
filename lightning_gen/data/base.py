"""What all datasets share: splits, loaders, and the conversion of a batch on the device."""

import os
from abc import ABC, abstractmethod
from typing import Any, get_args

import torch
from jaxtyping import Float
from lightning.pytorch import LightningDataModule
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor

from lightning_gen.contracts import NO_CLASS, Batch, Conditional, ImageShape
from lightning_gen.data.arguments import Binarize, ImagesOn, expect
from lightning_gen.data.loader import BatchLoader, images_of_an_epoch
from lightning_gen.data.sources import Movable, Source, TensorSource
from lightning_gen.data.splits import Split, cut, placed
from lightning_gen.errors import UserError
from lightning_gen.hyperparameters import KeepsArguments
from lightning_gen.noise import uniform_like

STAGES = {"train": "fit", "val": "fit", "test": "test"}
"""Lightning's stage that needs a split."""


OTHERS = (
    "the data are others than when the model was trained: images of the {} split may have been "
    "trained on. The run's config.yaml and splits.csv name those of then."
)


class ImageDataModule(KeepsArguments, LightningDataModule, ABC):
    """A dataset of images with a training, a validation and a test split.

    Models are given float32 images in [0, 1] of shape [N, C, H, W], converted on the device.

    Attributes:
        image_shape: (channels, height, width), known before any download, as all of these are.
        class_names: a name for each label; one name where there are no classes.
        factor_names: a name for each column of ``Batch.factors``.
        factor_sizes: number of values of each factor.
        normal_classes: numbers of the ``train_classes``; empty where all are trained on.
        num_workers: processes that fetch batches ahead; unused for datasets held in memory.

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
    """

    image_shape: ImageShape
    class_names: tuple[str, ...] = ("image",)
    factor_names: tuple[str, ...] = ()
    factor_sizes: tuple[int, ...] = ()
    num_workers = 0

    def __init__(
        self,
        batch_size: int = 128,
        val_fraction: float = 0.1,
        binarize: Binarize | None = None,
        train_classes: tuple[str, ...] | None = None,
        images_on: ImagesOn = "auto",
    ) -> None:
        super().__init__()
        names = f"a list of names among {', '.join(self.class_names)}"
        for name in train_classes or ():
            leave = "Leave it out to train on all classes."
            expect(name in self.class_names, "train_classes", names, repr(name), leave)
        expect(binarize in (None, *get_args(Binarize)), "binarize", "static, dynamic or nothing",
               repr(binarize), "Leave it out for grey levels.")  # fmt: skip
        expect(images_on in get_args(ImagesOn), "images_on", "auto, cpu or accelerator",
               repr(images_on), "Set it to auto.")  # fmt: skip
        expect(batch_size >= 1, "batch_size", "at least 1", batch_size, "Set it to 128.")
        share = "the share of training images kept for validation, at least 0 and below 1"
        expect(0 <= val_fraction < 1, "val_fraction", share, val_fraction, "Set it to 0.1.")
        self.batch_size = batch_size
        self.val_fraction = val_fraction
        self.binarize = binarize
        self.images_on: ImagesOn = images_on
        self.normal_classes = tuple(self.class_names.index(name) for name in train_classes or ())
        self._splits: dict[str, Split] = {}
        self._order_seed: int | None = None
        self._trained_on: dict[str, Any] = {}

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.image_shape))
        known = [f"{shape} pixels", f"{self.num_classes} classes" if self.num_classes > 1 else ""]
        known += [f"factors {', '.join(self.factor_names)}" if self.factor_names else ""]
        sizes = [f"{len(split):,} {name}" for name, split in self._splits.items()]
        about = ", ".join(filter(None, [*known, f"batches of {self.batch_size}"]))
        return f"{type(self).__name__}({about}; {', '.join(sizes) or 'nothing loaded yet'})"

    __str__ = __repr__  # Lightning's loads the data

    @property
    def num_classes(self) -> int:
        """Number of classes, at least 1."""
        return len(self.class_names)

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
            self._order_seed = None
        if stage in ("fit", "validate") and "train" not in self._splits:
            self._splits |= self._training_splits(self.load("train"), self.load_val())
            self._trained_on = self._fingerprint()
        if stage in ("test", "predict") and "test" not in self._splits:
            self._splits["test"] = self._evaluated(self.load("test"))

    def train_dataloader(self) -> BatchLoader:
        """Batches in an order given by (seed, epoch), which all processes share.

        With ``trainer.overfit_batches`` the order is the same in each epoch.
        """
        self._provide("train")
        if self._order_seed is None:
            # Lightning's seed_everything makes this the run's seed; without it, each process has
            # another.
            seed = torch.initial_seed()
            self._order_seed = int(self.trainer.strategy.broadcast(seed)) if self.trainer else seed
        if not getattr(self.trainer, "overfit_batches", 0):
            return self._loader("train", self._order_seed)
        _, world_size = self._shard
        images = len(self._splits["train"])
        return self._loader("train", count=images_of_an_epoch(images, self.batch_size, world_size))

    def val_dataloader(self) -> BatchLoader | list[BatchLoader]:
        """Batches in a fixed order; an empty list where there is no validation split."""
        self._provide("train")
        return self._loader("val") if "val" in self._splits else []

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
        if split not in self._splits:
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

    def check_labels(self, split: str, model: object) -> None:
        """Raise a UserError where ``model`` must know the class of each image of a split.

        That is a conditional model, or one that has a true ``needs_labels``.
        """
        source, indices = self._splits[split].source, self._splits[split].indices
        labels = getattr(source, "labels", None)
        if labels is None or not getattr(model, "needs_labels", isinstance(model, Conditional)):
            return
        unknown = int((labels[indices.to(labels.device)] == NO_CLASS).sum())
        if unknown > 0:
            raise UserError(
                f"{type(model).__name__} must know the class of each image, and {unknown} of the "
                f"{len(indices)} {split} images lie in no folder of a class of train. Put them "
                "into folders of these names, or leave the test out (--test_after_fit false)."
            )

    def split_files(self) -> dict[str, list[Any]]:
        """The file of each image of the splits that were loaded; empty without files."""
        named = {name: split.names for name, split in self._splits.items()}
        return {name: files for name, files in named.items() if files and isinstance(files[0], str)}

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must know of the data: which images, and the seed of their order."""
        if not self._trained_on:
            return {}
        return {"trained_on": self._trained_on, "order_seed": self._order_seed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on in the order of a checkpoint; warn of a validation on other images.

        Raises:
            UserError: training is to go on, and that was on other images.
        """
        changed = [
            f"{name} {value!r} in the checkpoint and {self._trained_on.get(name)!r} now"
            for name, value in state_dict.get("trained_on", {}).items()
            if value != self._trained_on.get(name)
        ]
        if self.trainer is None or self.trainer.state.fn != TrainerFn.FITTING:
            if changed and self._trained_on:
                rank_zero_warn(OTHERS.format("validation"))
            return
        if changed:
            raise UserError(
                f"the checkpoint was trained on other data: {', '.join(changed)}. Go on with the "
                "same files and data options, or start a new run."
            )
        self._order_seed = state_dict["order_seed"]
        given = os.environ.get("PL_GLOBAL_SEED")
        if given is not None and self._order_seed not in (None, int(given)):
            rank_zero_info(
                f"The run goes on with the order and the random numbers of seed {self._order_seed}"
                f"; seed {given} is not used."
            )

    def mean_image(self, num_images: int = 512) -> Float[Tensor, "c h w"]:
        """The mean of training images, chosen at random, in [0, 1], on the CPU."""
        self._provide("train")
        train = self._splits["train"]
        batch = train.source[train.indices[:num_images].to(train.device)]
        return self.on_after_batch_transfer(batch, 0).images.mean(dim=0).cpu()

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
        whole = Split.of(train)
        if self.binarize == "static":
            whole = whole.binarized()
        normal = whole.are_of(self.normal_classes)
        if val is not None:
            held = self._evaluated(val)
            held = held.at(held.are_of(self.normal_classes))
            what = "classes of which there are images to train on"
            expect(bool(normal.any()), "train_classes", what, [*self.normal_classes], "Add some.")
            return {"train": whole.at(normal).shuffled(), "val": held}
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

    def _fingerprint(self) -> dict[str, Any]:
        """What is trained on, in plain values; equal where a run may go on."""
        train, val = self._splits["train"], self._splits.get("val")
        return {
            "dataset": type(self).__name__,
            "image shape": [*self.image_shape],
            "data.binarize": self.binarize,
            "data.value_range": self.hparams.get("value_range"),
            "training images": len(train),
            "validation images": len(val) if val else 0,
            "digest of the images": train.digest + (val.digest if val else ""),
        }

    def _provide(self, split: str) -> None:
        """Set up what holds a split, where nobody has."""
        if split not in self._splits and (split != "val" or "train" not in self._splits):
            self.prepare_data()
            self.setup(STAGES.get(split, "test"))

    def _loader(
        self,
        name: str,
        shuffle_seed: int | None = None,
        batch_size: int | None = None,
        count: int | None = None,
    ) -> BatchLoader:
        self.check_labels(name, getattr(self.trainer, "lightning_module", None))
        accelerator = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        split = self._place(name, accelerator)
        return BatchLoader(
            split.source,
            split.indices[:count],
            batch_size or self.batch_size,
            shuffle_seed,
            self._shard,
            num_workers=0 if isinstance(split.source, Movable) else self.num_workers,
            pin_memory=(split.device.type, accelerator.type) == ("cpu", "cuda"),
        )

    @property
    def _shard(self) -> tuple[int, int]:
        """This process, and the number of processes."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _place(self, name: str, accelerator: torch.device) -> Split:
        """The split, its source where it is to be held; other splits of that source follow."""
        split = self._splits[name]
        if split.placed_for != accelerator:
            moved = placed(split.source, accelerator, self.images_on, name)
            for other, its in self._splits.items():
                if its.source is split.source:
                    self._splits[other] = Split(moved, its.indices, accelerator)
        return self._splits[name]
