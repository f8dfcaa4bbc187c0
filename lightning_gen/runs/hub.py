"""``push``: a finished run as a repository on the Hugging Face hub."""

import re
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml

from lightning_gen import __version__
from lightning_gen.atomic import copy_file, write_text
from lightning_gen.errors import UserError, nearest
from lightning_gen.models.fitted_prior import has_fitted_prior
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.pages.card import model_card
from lightning_gen.training.checkpoint import load_checkpoint, write_weights
from lightning_gen.training.directory import CONFIG, QUANTITIES, WEIGHTS, RunDirectory
from lightning_gen.training.fitted_prior import PUBLISHED, kept_file, read_prior
from lightning_gen.training.hub import FILES, check_repository, hub
from lightning_gen.training.safe_file import write_safe
from lightning_gen.training.scores import FILE as SCORES

PICTURES = ("samples_of_fitted_prior", "samples")
"""The pictures of a model card where none are named: those that show no image of the data."""
PUBLIC = ("seed_everything", "model", "data")
PUBLIC_OF_TRAINER = ("max_epochs", "max_steps", "precision", "gradient_clip_val")
"""What the configuration on the hub has: nothing of loggers, callbacks and folders."""
PRIVATE = ("root", "cache")


def push(
    run: FinishedRun,
    out: Path,
    repo: str,
    license: str | None = None,
    private: bool = False,
    pictures: Sequence[str] | None = None,
) -> Path:
    """Publish a run on the Hugging Face hub: weights, configuration, scores and a model card.

    Args:
        run: the finished run.
        out: a folder, where the files that are sent stand.
        repo: user/name, which is made where it does not exist; its files of other names stay.
        license: of the weights and pictures, as the hub calls it, such as mit or cc-by-4.0.
        private: make a repository that only you see.
        pictures: of the run's images, by default samples; reconstructions would show your data.
    """
    check_repository(repo)
    check_own_folder(out, run.path)
    if license is None or not re.fullmatch(r"[a-z0-9.-]+", license):
        raise UserError(
            "--license says what others may do with the weights: mit, apache-2.0, cc-by-4.0, "
            f"cc-by-nc-4.0, cc0-1.0 or another one of the hub's, got {license!r}. Your data may "
            "decide which one you can give."
        )
    with hub(repo) as library:
        api = library.HfApi(library_name="lightning-gen", library_version=__version__)
    names = write_files(run, out, repo, license, pictures)
    with hub(repo):
        url = api.create_repo(repo, private=private or None, exist_ok=True)
        if private and not api.model_info(repo).private:
            raise UserError(
                f"{repo} is there, and public. Make it private in its settings, or leave --private "
                "out; nothing was sent."
            )
        old = {name for name in api.list_repo_files(repo) if any(fnmatch(name, f) for f in FILES)}
        changes = [library.CommitOperationAdd(name, out / name) for name in names]
        changes += [library.CommitOperationDelete(name) for name in sorted(old - {*names})]
        api.create_commit(repo, changes, commit_message=f"lightning-gen {__version__}")
    print(f"{len(names)} files sent to {url}: {', '.join(names)}")
    return out


def check_own_folder(out: Path, run: Path) -> None:
    """Raise a UserError where files would be written over others than those of a push."""
    card, sign = out / "README.md", "\nlibrary_name: lightning-gen\n"
    pushed = card.is_file() and sign in card.read_text(errors="replace")
    used = out.exists() and not (out.is_dir() and not any(out.iterdir()))
    if out.resolve() == run.resolve() or (used and not pushed):
        raise UserError(f"--out {out} holds other files. Pass a new folder, or leave it out.")


def write_files(
    run: FinishedRun, out: Path, repo: str, license: str, pictures: Sequence[str] | None
) -> list[str]:
    """Write a run as the hub keeps it into a folder; the names of the files.

    It is a run directory, whose checkpoint and prior are ``.safetensors``.
    """
    checkpoint = load_checkpoint(run.checkpoint)
    check_public(checkpoint.get("hyper_parameters", {}))
    config = public_config(RunDirectory.of(run.path).read_config())
    images = latest_pictures(run.path, pictures)
    write_text(out / "README.md", model_card(run, repo, license, images))
    write_text(out / CONFIG, yaml.safe_dump(config, sort_keys=False))
    write_weights(checkpoint, out / WEIGHTS)
    names = ["README.md", CONFIG, WEIGHTS]
    if has_fitted_prior(run.model) and (kept := kept_file(run.path)):
        content = read_prior(kept)
        write_safe(out / PUBLISHED, content.pop("state_dict"), content)
        names.append(PUBLISHED)
    for name in ("metrics.csv", SCORES, QUANTITIES, *images.values()):
        if (run.path / name).is_file():
            copy_file(run.path / name, out / name)
            names.append(name)
    return names


def latest_pictures(run: Path, kinds: Sequence[str] | None) -> dict[str, str]:
    """The path of the latest picture of each kind; a UserError where a named one is missing."""
    paths = sorted(run.glob("images/*/*.png"))
    latest = {path.parent.name: path.relative_to(run).as_posix() for path in paths}
    for kind in kinds or ():
        if kind not in latest:
            raise UserError(f"--pictures: {run / 'images'} has no {kind}{nearest(kind, latest)}")
    return {kind: latest[kind] for kind in kinds or PICTURES if kind in latest}


def public_config(config: dict[str, Any]) -> dict[str, Any]:
    """What a configuration says of model, data and training, without paths of this machine."""
    kept = {key: config[key] for key in PUBLIC if key in config}
    if isinstance(trainer := config.get("trainer"), dict):
        kept["trainer"] = {key: trainer[key] for key in PUBLIC_OF_TRAINER if key in trainer}
    found: dict[str, Any] = _without_paths(kept)
    return found


def check_public(arguments: dict[str, Any]) -> None:
    """Raise a UserError where an argument of the model, which the weights need, is a path."""
    for name, value in arguments.items():
        if _without_paths({"": value}) != {"": value}:
            raise UserError(
                f"model.{name} has a path of this machine in it, and everybody would see it. Train "
                "with another value, or keep the run."
            )


def _without_paths(value: Any) -> Any:  # noqa: ANN401  (plain values)
    """Plain values without folders, and without texts that look like a path."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in PRIVATE and not _is_path(v)}
        return {k: _without_paths(v) for k, v in kept.items()}
    if isinstance(value, list | tuple):
        return type(value)(_without_paths(v) for v in value if not _is_path(v))
    return value


def _is_path(value: object) -> bool:
    return isinstance(value, str) and bool(re.search(r"^~|[/\\]", value))
