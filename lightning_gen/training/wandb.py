"""Weights & Biases: what a run holds there, and that no fault of it ends a training."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from lightning_gen import contracts
from lightning_gen._compat import log_used, set_wandb_options, wandb_options
from lightning_gen.allowed import variable
from lightning_gen.callbacks import Evaluation
from lightning_gen.callbacks.draw import names_of_data, portions
from lightning_gen.callbacks.drawing import evaluation_mode
from lightning_gen.contracts import Codes, Images, able, condition_on
from lightning_gen.errors import UserError
from lightning_gen.pictures.codes import free_dimensions
from lightning_gen.quantities import Quantities
from lightning_gen.training.directory import RunDirectory, data_name

STEP = "trainer/global_step"
"""The x axis of Lightning's logger."""
STAGES = ("train", "val", "test")
ROWS, SAMPLES, NUMBERS = 128, 64, 64
"""Of a table at most so many images and samples, and of each code so many numbers."""
SCORED: list[Any] = ["score", "value", "standard_error", "unit", "num_images", "seed"]
"""The columns of a table of scores."""
FINISH_SECONDS = 300
"""How long a training that has ended waits for a server to take the rest."""
LONGEST = 128
"""Characters of a name in W&B."""
VARIABLES = {
    "name": "WANDB_NAME",
    "group": "WANDB_RUN_GROUP",
    "job_type": "WANDB_JOB_TYPE",
    "tags": "WANDB_TAGS",
    "notes": "WANDB_NOTES",
    "id": "WANDB_RUN_ID",
    "settings": "WANDB_FINISH_TIMEOUT",
}
"""The arguments of wandb.init that a variable of the environment may have said already."""


@contextmanager
def tolerated(what: str) -> Iterator[None]:
    """Within, any error of W&B is a warning: the training goes on without ``what``."""
    try:
        yield
    except Exception as error:  # of its process, its server, or its own reading of an answer
        rank_zero_warn(f"W&B did not take {what} ({in_short(error)}): training goes on.")


def in_short(error: Exception) -> str:
    """An error of W&B in a line."""
    return " ".join((str(error) or type(error).__name__).split())[:150]


def wandb_loggers(loggers: Sequence[Any]) -> list[WandbLogger]:
    """Those of W&B."""
    return [logger for logger in loggers if isinstance(logger, WandbLogger)]


def begin_wandb(
    loggers: Sequence[Any], directory: RunDirectory, model: LightningModule, data: object
) -> list[Callback]:
    """Begin the W&B run of each of its loggers, and give the callbacks that add to it.

    Where its server cannot be reached, the run is kept on this machine alone. Training goes on
    where the process of W&B ends, with a warning: some clusters send SIGTERM to every process of a
    job, and W&B's ends before the training's own has saved.
    """
    for logger in wandb_loggers(loggers):
        import wandb  # no cost to other runs

        if wandb_options(logger) is None and wandb.run is None:
            raise UserError("a WandbLogger serves one training, and this one has. Make a new one.")
        describe_logger(logger, directory, model, data)
        for name in ("log_metrics", "log_hyperparams"):
            setattr(logger, name, tolerated("what was logged")(getattr(logger, name)))
        open_or_go_offline(logger)
    return [WandbTables(directory)] if wandb_loggers(loggers) else []


def describe_logger(
    logger: WandbLogger, directory: RunDirectory, model: LightningModule, data: object
) -> None:
    """Say of a W&B run that has not begun what the user has not: where, what and whose it is.

    What goes on here goes on in W&B too.
    """
    given = wandb_options(logger)
    if given is None:
        return
    kinds = [type(model).__name__, type(data).__name__]
    parameters = sum(p.numel() for p in model.parameters())
    place = str(directory.path.resolve())
    known = [start["wandb_run"] for start in directory.starts if start.get("wandb_run")]
    options: dict[str, Any] = {
        "name": directory.name[-LONGEST:],
        "group": directory.path.parent.name[:LONGEST],
        "job_type": "trial" if "WANDB_SWEEP_ID" in os.environ else "fit",
        "tags": [kind[:64] for kind in kinds],
        "notes": f"{kinds[0]} of {parameters:,} parameters on {kinds[1]}, in {place}",
        "id": known[-1] if known else None,
        "settings": {"finish_timeout": FINISH_SECONDS},
    }
    said = {key for key, name in VARIABLES.items() if name in os.environ}
    said |= {key for key, value in given.items() if value is not None}
    more = {key: value for key, value in options.items() if key not in said}
    if given.get("dir") in (None, "."):
        more["dir"] = place
    set_wandb_options(logger, **more)


def open_or_go_offline(logger: WandbLogger) -> None:
    """Begin the W&B run; where its server cannot be reached, on this machine alone."""
    try:
        _ = logger.experiment
    except Exception as error:  # W&B's own, and those of its process
        rank_zero_info(
            f"W&B cannot be reached ({in_short(error)}): the run is kept offline, in "
            f"{logger.save_dir}/wandb. Send it later with `wandb sync`."
        )
        set_wandb_options(logger, mode="offline")
        _ = logger.experiment


def finish(loggers: list[Logger], *, failed: bool) -> None:
    """End the W&B run, so that the next training of this process has its own."""
    if not wandb_loggers(loggers):
        return
    import wandb  # here and below: it takes half a second that other runs need not wait

    if wandb.run is None:
        return
    try:
        wandb.finish(exit_code=int(failed))
    except Exception:  # its process has ended
        with suppress(Exception):
            wandb.teardown()


def define_metrics(logger: WandbLogger, quantities: Quantities) -> None:
    """Let W&B know what is logged: steps as the x axis, the best value, units and directions.

    Its summary has the best and the last value of a training, and that of the test; its
    configuration has the quantities.
    """
    with tolerated("what its numbers are"):
        run = logger.experiment
        run.define_metric("epoch", step_metric=STEP)
        for name, quantity in quantities.items():
            best = {"lower": "min,last", "higher": "max,last"}.get(quantity.better)
            for column in [name] if "/" in name else [f"{stage}/{name}" for stage in STAGES]:
                summary = None if column.startswith("test/") else best
                run.define_metric(column, step_metric=STEP, step_sync=True, summary=summary)
        run.config.update({"quantities": quantities.plain()}, allow_val_change=True)


class WandbTables(Callback):
    """Shows images, reconstructions, codes and samples as a table, and scores as another.

    That is of the validation images at the end of training, and of the test.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The table of the last weights."""
        self._show(trainer, pl_module, "validation")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The table of the best weights, and that of the scores."""
        self._show(trainer, pl_module, "test")

    def _show(self, trainer: Trainer, model: LightningModule, split: str) -> None:
        if not trainer.is_global_zero:
            return
        scores = scored_rows(trainer) if split == "test" else []
        with tolerated("its tables"), staged(self.directory):
            import wandb

            with evaluation_mode(trainer, model):
                shown = {f"evaluation/{split}": evaluated(trainer, model, split)}
            shown[f"scores/{split}"] = SCORED, scores
            tables: Any = {
                k: wandb.Table(names, rows) for k, (names, rows) in shown.items() if rows
            }
            for logger in wandb_loggers(trainer.loggers):
                logger.log_metrics(tables, trainer.global_step)
                for name, _, error, *_ in scores:
                    logger.experiment.summary[f"{split}/{name}_standard_error"] = error


def scored_rows(trainer: Trainer) -> list[list[Any]]:
    """Each score of the latest evaluation, with its standard error."""
    found = [each for each in trainer.callbacks if isinstance(each, Evaluation)]  # type: ignore[attr-defined]
    cards = {name: card for each in found for name, card in each.cards.items()}
    return [[name, *(getattr(card, n) for n in SCORED[1:])] for name, card in cards.items()]


def evaluated(trainer: Trainer, model: Any, split: str) -> tuple[list[Any], list[list[Any]]]:  # noqa: ANN401
    """The columns and rows of a table: first images of a split, then samples, as far as able.

    A code is in as many columns of a number, as W&B's projector reads it.
    """
    rows: list[list[Any]] = []
    if able(model, (contracts.Encodes | contracts.Reconstructs,)):
        classes = dict(enumerate(names_of_data(trainer).classes))
        for batch in filter(None, portions(trainer, split, ROWS)):
            knowing = condition_on(model, batch)
            codes = knowing.encode(batch.images) if isinstance(knowing, contracts.Encodes) else None
            gives_back = isinstance(knowing, contracts.Reconstructs)
            again = knowing.reconstruct(batch.images) if gives_back else None
            labels = [classes.get(label, str(label)) for label in batch.labels.tolist()]
            rows += rows_of(model, split, batch.images, codes, again, labels)
    if isinstance(model, contracts.SamplesCodes) and isinstance(model, contracts.Decodes):
        codes = model.sample_codes(SAMPLES)
        rows += rows_of(model, "sample", model.decode(codes), codes)
    elif isinstance(model, contracts.SamplesImages):
        rows += rows_of(model, "sample", model.sample(SAMPLES))
    columns = ["kind", "image", "reconstruction", "label"]
    width = max((len(row) for row in rows), default=0)
    columns += [f"z{n}" for n in range(width - len(columns))]
    return columns, [row + [None] * (width - len(row)) for row in rows]


def rows_of(
    model: object,
    kind: str,
    images: Images,
    codes: Codes | None = None,
    reconstructions: Images | None = None,
    labels: Sequence[str] | None = None,
) -> list[list[Any]]:
    """Rows of a table: what each image is, itself, its reconstruction, label and code.

    The condition at the end of a code is left out.
    """
    nothing = [None] * len(images)
    numbers: list[list[float]] = [[]] * len(images)
    if codes is not None:
        numbers = codes[:, : min(free_dimensions(model, codes), NUMBERS)].tolist()
    again = nothing if reconstructions is None else pictures_of(reconstructions)
    cells = zip(pictures_of(images), again, labels or nothing, numbers, strict=True)
    return [[kind, *others, *code] for *others, code in cells]


def pictures_of(images: Images) -> list[Any]:
    """Images in [0, 1] as W&B shows them."""
    import wandb

    pixels = images.float().clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [wandb.Image(np.squeeze(each, 2) if each.shape[2] == 1 else each) for each in pixels]


@contextmanager
def staged(directory: RunDirectory) -> Iterator[None]:
    """Within, files that W&B is to send wait in the run's directory, not in the user's home."""
    place = os.environ.get("WANDB_DATA_DIR", str(directory.path.resolve() / "wandb"))
    with variable("WANDB_DATA_DIR", place):
        yield


def keep_in_wandb(trainer: Trainer, directory: RunDirectory) -> None:
    """Log the dataset that was used, and the last and the best checkpoint of a finished training.

    The model's artifact is called after the run and holds what its directory needs to be loaded
    elsewhere; the images of the dataset stay where they are.
    """
    if not trainer.is_global_zero:
        return
    model, data = trainer.lightning_module, trainer.datamodule  # type: ignore[attr-defined]
    for logger in wandb_loggers(trainer.loggers):
        with tolerated("the dataset and the checkpoints"), staged(directory):
            log_used(logger.experiment, dataset_artifact(data))
            for alias in ("last", "best"):  # the later one is also called "latest"
                path = directory.checkpoints / f"{alias}.ckpt"
                if path.is_file():
                    artifact = model_artifact(directory, path, type(model).__name__)
                    logger.experiment.log_artifact(artifact, aliases=[alias])


def dataset_artifact(data: LightningDataModule) -> Any:  # noqa: ANN401  (wandb has no types)
    """What was trained on: a reference with the hash of the images, and how many each split has."""
    import wandb
    from wandb.sdk.artifacts.artifact_manifest_entry import ArtifactManifestEntry
    from wandb.sdk.lib.paths import LogicalPath

    kind, arguments = type(data).__name__, dict(data.hparams)
    about = data.state_dict().get("trained_on", {"dataset": kind})
    counts = {name: len(split) for name, split in getattr(data, "splits", {}).items()}
    root = arguments.get("root")
    place = Path(root).expanduser().resolve().as_uri() if root else f"lightning-gen:{kind}"
    digest = str(about.get("digest of the images", place))
    found = wandb.Artifact(artifact_name(data_name(kind, arguments)), "dataset")
    found.metadata = {**about, "images": counts}
    found.manifest.add_entry(
        ArtifactManifestEntry(path=LogicalPath("images"), digest=digest, ref=place)
    )
    with found.new_file("dataset.json") as file:
        json.dump(about, file, indent=2)
    return found


def model_artifact(directory: RunDirectory, checkpoint: Path, model: str) -> Any:  # noqa: ANN401
    """A checkpoint with the files that make its folder a run directory."""
    import wandb

    found = wandb.Artifact(artifact_name(directory.path.parent.name), "model")
    found.metadata = {"run": directory.name, "model": model, "checkpoint": checkpoint.name}
    found.add_file(str(checkpoint), f"checkpoints/{checkpoint.name}")
    for path in directory.path.iterdir():
        if path.suffix in (".yaml", ".json", ".csv", ".pt"):
            found.add_file(str(path), path.name)
    return found


def artifact_name(text: str) -> str:
    """A text as a name that W&B takes."""
    return re.sub(r"[^a-zA-Z0-9_.\-]", "_", text)[:LONGEST]
