"""Runs that lie elsewhere: on the Hugging Face hub, or in Weights & Biases."""

from pathlib import Path, PurePosixPath
from typing import Any

from lightning_gen.atomic import copy_missing
from lightning_gen.data.cache import AUTO, cache_folder
from lightning_gen.errors import UserError
from lightning_gen.training.hub import PREFIX as HUB
from lightning_gen.training.hub import from_hub

WANDB = "wandb:"
KINDS = {".yaml", ".json", ".csv", ".pt", ".ckpt", ".safetensors"}
"""The files of a run, and no others of an artifact."""


def fetched_run(place: str | Path) -> Path:
    """The local path of a place, which is fetched into ``logs`` where it begins hf: or wandb:."""
    if str(place).startswith(HUB):
        return from_hub(str(place))
    return from_wandb(str(place)) if str(place).startswith(WANDB) else Path(place)


def from_wandb(place: str) -> Path:
    """A run of W&B, ``wandb:entity/project/name:alias``, as a directory of ``logs``.

    That is an artifact which ``fit`` has logged, or its one checkpoint. It comes through a cache,
    and is copied to ``logs/entity--project--name/<version>``, where results go too; a file that
    stands there stays. A UserError says that there is no such artifact.
    """
    import wandb

    try:
        artifact: Any = wandb.Api().artifact(place.removeprefix(WANDB))
        parts = artifact.entity, artifact.project, artifact.name.partition(":")[0]
        cached = Path(cache_folder(AUTO) or "", "wandb", *parts, artifact.version)
        names = [PurePosixPath(name) for name in artifact.manifest.entries]
        if climbing := [name for name in names if name.is_absolute() or ".." in name.parts]:
            raise ValueError(f"it names a file outside of itself, {climbing[0]}")
        artifact.download(root=str(cached))
    except (wandb.Error, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:150]
        raise UserError(
            f"expected an artifact that you may read, wandb:entity/project/name:alias, got {place} "
            f"({reason}). Log in with `wandb login`, or look at the project's Artifacts."
        ) from error
    folder = Path("logs", "--".join(parts), artifact.version)
    copy_missing(cached, [name for name in names if name.suffix in KINDS], folder)
    found = [*folder.rglob("*.ckpt")]
    return folder if (folder / "config.yaml").is_file() or not found else found[0]
