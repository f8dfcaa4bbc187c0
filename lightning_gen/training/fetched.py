"""Runs and checkpoints that lie elsewhere."""

from pathlib import Path
from typing import Any

from lightning_gen.data.cache import AUTO, cache_folder
from lightning_gen.errors import UserError

WANDB = "wandb:"


def fetched_run(place: str | Path) -> Path:
    """The local path of a place; ``wandb:entity/project/name:alias`` is downloaded first.

    That is the folder of an artifact which is a run, as ``fit`` logs it, or its one checkpoint.
    What was downloaded before is only compared. A UserError says that there is no such artifact.
    """
    name = str(place).removeprefix(WANDB)
    if name == str(place):
        return Path(place)
    import wandb

    try:
        artifact: Any = wandb.Api().artifact(name)
        called = artifact.name.partition(":")[0], artifact.version
        folder = Path(cache_folder(AUTO) or "", "wandb", artifact.entity, artifact.project, *called)
        artifact.download(root=str(folder))
    except (wandb.Error, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:150]
        raise UserError(
            f"expected an artifact that you may read, wandb:entity/project/name:alias, got {place} "
            f"({reason}). Log in with `wandb login`, or look at the project's Artifacts."
        ) from error
    found = [*folder.rglob("*.ckpt")]
    return folder if (folder / "config.yaml").is_file() or not found else found[0]
