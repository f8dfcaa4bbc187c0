"""A finished run, ready to be used."""

import os
import shutil
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from PIL import Image

from lightning_gen.allowed import enforced, granted, modules, refusal
from lightning_gen.contracts import (
    NO_CLASS,
    Batch,
    Codes,
    Decodes,
    Encodes,
    Images,
    ImageShape,
    Needs,
    SamplesCodes,
    SamplesImages,
    able,
    as_batch,
    info_of,
    require,
)
from lightning_gen.errors import UserError, check_objects, check_whole
from lightning_gen.features import Extractor
from lightning_gen.figures.grid import tile_size
from lightning_gen.models.fitted_prior import has_fitted_prior
from lightning_gen.models.module import check_range
from lightning_gen.pictures import Picture
from lightning_gen.priors import Prior
from lightning_gen.runs.outputs import as_image, open_picture
from lightning_gen.training.checkpoint import build, load_checkpoint, load_model, restore
from lightning_gen.training.directory import CHECKPOINTS, CONFIG, RunDirectory
from lightning_gen.training.fetched import fetched_run
from lightning_gen.training.fitted_prior import FILE, copy_of, prior_in_words, use_kept_prior

MOST_PIXELS = 100_000_000
"""Of a picture: programs refuse to open larger ones."""
BLOCK = 4096
"""Bytes that the smallest file takes on a disk."""


if TYPE_CHECKING:
    from torch import Tensor

    from lightning_gen.contracts import Reconstructs

    class TrainedModel(LightningModule, Encodes, Decodes, Reconstructs, SamplesCodes):
        """What editors and type checkers take a model for whose class a checkpoint names.

        They know all that a model may be able to do; what this one is not is an AttributeError.
        """

        def sample(self, n: int, labels: Tensor | None = None) -> Images:
            """``n`` new images; a conditional model takes a label for each."""

        def read(self, path: str | Path) -> Images:
            """Images of a file, or of all below a folder: :meth:`FinishedRun.read`."""

        def write(self, images: Images, path: str | Path) -> Path:
            """Write images into a file or a folder: :meth:`FinishedRun.write`."""

else:
    TrainedModel = LightningModule


@dataclass(frozen=True)
class FinishedRun:
    """A trained model, frozen and in evaluation mode, and what is known of its training.

    ``checkpoint`` is the file of the weights; ``path`` the run directory, or the folder of a
    checkpoint that lies in none; new files go there.
    """

    model: TrainedModel
    checkpoint: Path
    path: Path

    @classmethod
    def open(cls, place: str | Path, device: str = "cpu", prior: str = "fitted") -> "FinishedRun":
        """Load a run: its best checkpoint, or the latest where nothing was validated.

        A UserError says that there is no such run, checkpoint or device, or that it is broken.

        Args:
            place: a run directory, a checkpoint, the name of a run (its latest version), one of the
                Hugging Face hub ("hf:user/name" or "hf:user/name@revision"), or an artifact of W&B
                ("wandb:entity/project/name:best"); the last two are copied into ``logs``.
            device: where the model is put; "auto" is a CUDA device where there is one.
            prior: draw from the prior that was "fitted" to the codes, if any was; "none" draws from
                the model's own.
        """
        if prior not in ("fitted", "none"):
            raise UserError(f'prior is "fitted", or "none" for the model\'s own, got {prior!r}.')
        place = fetched_run(place).expanduser()
        found = [path for path in (place, Path("logs") / place) if path.is_file()]
        if place.suffix in CHECKPOINTS and found:
            checkpoint = found[0]
            around = RunDirectory.around(checkpoint)
            path = around.path if around else checkpoint.parent
        else:
            directory = RunDirectory.of(place)
            checkpoint, path = directory.best, directory.path
        model = load_model(checkpoint)
        weights = [(k, v) for k, v in model.state_dict().items() if v.is_floating_point()]
        if broken := [name for name, value in weights if not value.isfinite().all()]:
            raise UserError(
                f"{checkpoint} holds NaN or infinite weights, {broken[0]} and {len(broken) - 1} "
                "more: its training has diverged. Pass an earlier checkpoint, or train with a "
                "lower learning rate."
            )
        if prior == "fitted":
            use_kept_prior(model, path, checkpoint)
        return cls(cast(TrainedModel, model.to(existing_device(device))), checkpoint, path)

    @classmethod
    def trained(cls, model: LightningModule, checkpoint: Path | None, path: Path) -> "FinishedRun":
        """The run of a training in this process: a copy of its model, with a checkpoint's weights.

        Without a checkpoint these are the latest weights.
        """
        copy = copy_of(model)
        if checkpoint is None:
            copy.freeze()
        else:
            restore(copy, load_checkpoint(checkpoint))
            use_kept_prior(copy, path, checkpoint)
        return cls(cast(TrainedModel, copy), checkpoint or RunDirectory(path).last, path)

    def __repr__(self) -> str:
        return f"FinishedRun({str(self.path)!r}, {type(self.model).__name__})"

    def _repr_html_(self) -> str:
        """What a notebook shows of it."""
        from lightning_gen.runs.pages.report import in_a_notebook

        return in_a_notebook(self)

    @property
    def name(self) -> str:
        """``<name>/version_<n>`` of a run directory, or the checkpoint's own name."""
        return RunDirectory(self.path).name if self._in_directory else self.checkpoint.stem

    @property
    def _in_directory(self) -> bool:
        return (self.path / CONFIG).is_file()

    @property
    def image_shape(self) -> ImageShape:
        """(channels, height, width) of images; a UserError where the model does not keep it."""
        if shape := self.model.hparams.get("image_shape"):
            channels, height, width = shape
            return channels, height, width
        name = type(self.model).__name__
        raise UserError(
            f"the checkpoint of {name} holds no image_shape. Let {name} take image_shape and "
            "keep its arguments with lightning_gen.hyperparameters.KeepsArguments."
        )

    @cached_property
    def config(self) -> dict[str, Any]:
        """The complete configuration; a UserError where the run's directory is not known."""
        if not self._in_directory:
            raise UserError(
                f"{self.checkpoint} lies in no run directory, so the dataset of its training is "
                "not known. Pass images of your own with --images, or the run directory."
            )
        return RunDirectory(self.path).read_config()

    @cached_property
    def data(self) -> LightningDataModule:
        """The dataset of the training, built as it was; a UserError where it cannot be."""
        try:
            with enforced():
                return build(LightningDataModule, "data", self.config.get("data"))
        except UserError:
            raise
        except Exception as error:  # jsonargparse raises what its parts raise
            reason = refusal(str(error)) or f"{' '.join(str(error).split())[:300]}."
            if "arguments are required: root" in str(error):
                reason = "the folder of its images is not known here."
            raise UserError(
                f"the dataset of {self.path / CONFIG} cannot be built: {reason} Pass images of "
                "your own with --images."
            ) from error

    @property
    def class_names(self) -> tuple[str, ...]:
        """A name for each class of the dataset; empty where the run's directory is not known."""
        info = info_of(self.data) if self._in_directory else None
        return info.class_names if info else ()

    @property
    def test(self) -> dict[str, float]:
        """The metrics of the latest test, by their names; empty where there was none.

        A UserError says that the run's directory is not known, or that its table is broken.
        """
        from lightning_gen.runs.pages.record import RunRecord

        curves = RunRecord.read(self.path).logged.curves
        names = [column for column in curves if column.startswith("test/")]
        return {name.removeprefix("test/"): curves[name][-1].value for name in names}

    @property
    def images(self) -> dict[str, Image.Image]:
        """The latest picture of each kind, such as "samples"."""
        latest = {path.parent.name: path for path in sorted(self.path.glob("images/*/*.png"))}
        return {kind: open_picture(path) for kind, path in latest.items()}

    def draw(
        self, picture: Picture, split: Literal["train", "val", "test"] = "test"
    ) -> Image.Image:
        """A picture of the model, such as ``lightning_gen.pictures.Traversal()``, of a split.

        A UserError says that the model or the data lack what is shown.
        """
        from lightning_gen.runs.inputs import SplitInputs
        from lightning_gen.runs.pictures import drawn_by

        check_objects("pictures", [picture], Picture)
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(0)
            inputs = SplitInputs(self, split)
            return as_image(drawn_by(self, picture, inputs, Path("picture.png")))

    def read(self, path: str | Path) -> Images:
        """Images [N, C, H, W] of a file or of all below a folder, resized for the model.

        A UserError says that there are none.
        """
        from lightning_gen.runs.inputs import FileInputs

        files = FileInputs(self, Path(path), conditional=False)
        return files.first(len(files)).batch.images

    def write(self, images: Images, path: str | Path) -> Path:
        """Write images [N, C, H, W] in [0, 1]: a page (.png, .pdf, .svg), a folder, or an .npz.

        A UserError says that they are no such images, or the path has another ending.
        """
        from lightning_gen.runs.outputs import numbered, write

        wanted = [len(images), *self.image_shape] if images.ndim else []
        if [*images.shape] != wanted or not images.is_floating_point():
            shape = ", ".join(map(str, self.image_shape))
            raise UserError(
                f"images are float [N, {shape}] in [0, 1], got {images.dtype} {[*images.shape]}. "
                "Give what the model's decode or sample gave."
            )
        return write(Path(path), numbered([(images, {})], len(images), "writing"))

    def project(
        self,
        images: object,
        restarts: int = 4,
        steps: int = 300,
        features: Extractor | None = None,
        seed: int = 0,
    ) -> Codes:
        """Codes [N, D] found by optimisation, whose decoded images are nearest to given ones.

        The options are those of the verb. ``images`` [N, C, H, W] are in [0, 1], as :meth:`read`
        gives them; a conditional model takes (images, labels). A UserError says that the model
        decodes no codes, or that the images are others than its.
        """
        from lightning_gen.runs.inversion import find_codes

        batch = as_batch(images)
        check_whole("images", len(batch.images), 1)
        check_range(batch.images)
        if isinstance(images, torch.Tensor):  # which say nothing of their classes
            batch = batch._replace(labels=torch.full_like(batch.labels, NO_CLASS))
        if (found := tuple(batch.images.shape[1:])) != self.image_shape:
            raise UserError(f"images are {self.image_shape}, got {found}. Take run.read(path).")
        batch = Batch(*(tensor.to(self.model.device) for tensor in batch))
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return find_codes(self, batch, restarts, steps, features)[-1]

    def fit_prior(self, prior: Prior | None = None) -> Prior:
        """Fit a prior to the codes of the training images; the run draws from it from now on.

        It is kept beside the checkpoints, and used by all that loads the run. A UserError says that
        the model has no such codes.

        Args:
            prior: such as ``lightning_gen.priors.GaussianMixture()``, the default; of a model with
                codebooks ``Autoregressive()``.
        """
        from lightning_gen.runs.priors import fit_prior

        if prior is not None:
            check_objects("fit_prior", [prior], Prior)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            fit_prior(self, self.path / FILE, prior)
        return cast(Prior, self.model.prior)

    def report(self, out: Path | None = None) -> Path:
        """Write everything about the run in one HTML file, ``report.html`` by default."""
        from lightning_gen.runs.pages.report import report

        return report(self.path, out)

    def check_request(self, out: Path, images: int, held: int = 0) -> None:
        """Raise a UserError where so many images are more than a picture, disk or memory takes.

        ``held`` numbers of four bytes are in memory at once.
        """
        shape = self.model.hparams.get("image_shape")
        if shape is None:  # of a model of the user's own
            return
        kept = out.suffix in ("", ".npz")
        pixels = images * prod(tile_size(*shape[1:]))
        size = images * max(prod(shape), BLOCK if out.suffix == "" else 0)
        at_once = max(4 * held, 2 * size if out.suffix == ".npz" else 0)
        there = next((place for place in out.absolute().parents if place.exists()), Path("/"))
        free = shutil.disk_usage(there).free
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
        for needed, most, unit, what in (
            (pixels * (not kept), MOST_PIXELS, "million pixels", "of a picture (a folder has any)"),
            (size * kept, free, "GB", f"left on the disk of {there}"),
            (at_once, memory, "GB at once", "in half of this machine's memory"),
        ):
            if needed > most:
                scale = 1e6 if unit.startswith("million") else 1e9
                raise UserError(
                    f"{images:,} images take {needed / scale:,.1f} {unit}, and there are at most "
                    f"{most / scale:,.1f} {what}. Ask for fewer."
                )

    def require(self, needs: Needs, asker: str) -> None:
        """Raise a UserError where the model lacks a capability that ``asker`` needs."""
        remedy = "Choose a run of another model."
        if {SamplesImages, SamplesCodes} & {*needs} and able(self.model, (Encodes, Decodes)):
            remedy = f"Fit a prior to its codes: lightning-gen fit-prior {self.name}"
            if prior_in_words(self.path, self.checkpoint):
                remedy = "Leave --prior none out: a prior was fitted to its codes."
        require(self.model, needs, asker, remedy)

    @property
    def samples_from(self) -> str:
        """What is drawn from, for titles: empty of the model's own prior."""
        fitted = has_fitted_prior(self.model)
        words = prior_in_words(self.path, self.checkpoint) if fitted else ""
        return f", from {words}" if words else ""


def load(place: str | Path, device: str = "cpu", allow: str = "") -> TrainedModel:
    """The model of a finished run with its best weights, frozen and in evaluation mode.

    Args:
        place: a run directory, a checkpoint, the name of a run (its latest version), one of the
            Hugging Face hub ("hf:user/name"), or of W&B ("wandb:entity/project/name:best").
        device: where the model is put; "auto" is a CUDA device where there is one.
        allow: modules of yours, with commas, whose classes the run may name.

    It also has ``read(path)``, images of a file or folder as it takes them, and
    ``write(images, path)``.

    Raises:
        UserError: there is no such run, or its checkpoint cannot be used.
    """
    with granted(modules(allow)):
        run = FinishedRun.open(place, device)
    vars(run.model).update(read=run.read, write=run.write)
    return run.model


def existing_device(name: str) -> torch.device:
    """The device of this name; a UserError where this machine does not have it."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(
            f"device is auto, cpu, cuda, cuda:1 or mps, and this machine has no {name!r}. "
            "Pass --device cpu."
        ) from error
    return device
