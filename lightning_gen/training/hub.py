"""Runs of the Hugging Face hub, which ``hf:user/name`` and ``hf:user/name@revision`` name."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from logging import ERROR, getLogger
from pathlib import Path
from types import ModuleType

from lightning_gen import __version__
from lightning_gen.atomic import copy_missing
from lightning_gen.errors import UserError

PREFIX = "hf:"
NEEDED = ("config.yaml", "model.safetensors")
ALONGSIDE = ("prior.safetensors", "metrics.csv", "metrics.json", "quantities.json")
FILES = ("README.md", *NEEDED, *ALONGSIDE, "images/*/*.png")
"""What a run on the hub is made of. Nothing else is downloaded, and none of these is a pickle."""


def from_hub(place: str) -> Path:
    """A run of the hub, ``hf:user/name``, as a directory of ``logs``.

    Its files come through the cache of huggingface_hub (HF_HOME, HF_HUB_OFFLINE), and are copied
    to ``logs/user--name/<commit>``, where results go too; a file that stands there stays. A
    UserError says that there is no such run, or no connection.
    """
    name, _, revision = place.removeprefix(PREFIX).partition("@")
    check_repository(name)
    with hub(f"{PREFIX}{name}") as library:
        options = {"revision": revision or None, "allow_patterns": [*FILES]}
        options |= {"library_name": "lightning-gen", "library_version": __version__}
        snapshot = Path(library.snapshot_download(name, **options))
        if not all((snapshot / file).is_file() for file in NEEDED):
            raise UserError(
                f"{place} holds no {' and '.join(NEEDED)} of a run. Name a repository that "
                "lightning-gen push has filled."
            )
        folder = Path("logs") / name.replace("/", "--") / snapshot.name[:12]
        found = [file.relative_to(snapshot) for each in FILES for file in snapshot.glob(each)]
        copy_missing(snapshot, found, folder)
    return folder


def check_repository(name: str) -> None:
    """Raise a UserError where this is no name of a repository."""
    if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name, re.ASCII):
        raise UserError(
            "a repository on the hub is user/name, of letters, digits and any of .-_ "
            f"(hf:user/name@revision where it is read), got {name!r}."
        )


@contextmanager
def hub(name: str) -> Iterator[ModuleType]:
    """The library huggingface_hub, or a UserError; within, any error is one, of one line."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise UserError(
            f'{name} takes huggingface_hub ({error}). Install it: pip install "lightning-gen[hub]"'
        ) from error
    logger = getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(ERROR)  # what is wrong is said here, once
    try:
        yield huggingface_hub
    except UserError:
        raise
    except Exception as error:  # of its own, of the HTTP library below it, of the disk
        raise UserError(f"{name} {_reason(error)}") from error
    finally:
        logger.setLevel(level)


def _reason(error: Exception) -> str:
    """What an exception of huggingface_hub means, and what to do about it."""
    from huggingface_hub import errors

    log_in = "Log in with hf auth login, or set HF_TOKEN."
    known = {
        errors.RepositoryNotFoundError: f"is not on the hub, or private. Check its name. {log_in}",
        errors.RevisionNotFoundError: "has no such revision. Name a branch, a tag or a commit.",
        errors.LocalEntryNotFoundError: "is not in the cache, and the hub was not reached. Connect "
        "to the network, or set HF_HUB_OFFLINE=0 where it is 1.",
        errors.OfflineModeIsEnabled: "takes a connection. Set HF_HUB_OFFLINE=0.",
    }
    if told := next((text for kind, text in known.items() if isinstance(error, kind)), None):
        return told
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return f"is refused to you ({status}). Take a token that may write there. {log_in}"
    said = " ".join(f"{type(error).__name__}: {error}".split())[:200].rstrip(".")
    return f"cannot be used: {said}. Put this right, or try again."
