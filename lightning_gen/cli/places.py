"""Where the parts of a trainer write: into the directory of their run."""

from pathlib import Path

from jsonargparse import Namespace

from lightning_gen.cli.loggers import as_list
from lightning_gen.cli.parser import BadArgumentsError

PLACES = ("dirpath", "dir", "save_dir", "root_dir", "log_dir", "sub_dir", "filename")
"""The arguments of Lightning's callbacks, loggers and profilers that name a file or a folder."""


def keep_inside(trainer: Namespace, run: Path | None) -> None:
    """Let all parts of a trainer write into the run's directory, and nowhere else.

    A relative place is one inside the run.

    Args:
        trainer: the options of the trainer.
        run: the run's directory; None where nothing is kept.

    Raises:
        BadArgumentsError: a place lies outside, or W&B is told where its server is.
    """
    for key in ("callbacks", "logger", "profiler", "plugins", "strategy"):
        for part in as_list(trainer[key]):
            arguments = part.get("init_args") if isinstance(part, Namespace) else None
            if arguments is None:
                continue
            for name in PLACES:
                value = arguments.get(name)
                if isinstance(value, str | Path) and str(value) != ".":
                    arguments[name] = str(inside(Path(value), run, f"trainer.{key}.{name}"))
                    if name in ("filename", "sub_dir"):  # they are added to another one
                        arguments[name] = str(value)
            if "settings" in (part.get("dict_kwargs") or {}) or arguments.get("settings"):
                # A configuration may be somebody else's: W&B would send the user's key there.
                raise BadArgumentsError(
                    f"trainer.{key}.settings: where W&B is, and how to log in, is no option of a "
                    "configuration. Set W&B's own variables, such as WANDB_BASE_URL."
                )


def inside(place: Path, run: Path | None, key: str) -> Path:
    """A place below the run's directory.

    Raises:
        BadArgumentsError: it is none.
    """
    root = (run or Path()).resolve()
    found = (root / place).resolve()
    if not found.is_relative_to(root):
        raise BadArgumentsError(
            f"{key}: a run writes into its own directory, got {place}. Leave it out, or name a "
            "place inside the run."
        )
    return found
