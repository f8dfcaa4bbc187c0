"""Files of published datasets, fetched whole or not at all."""

from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory

from lightning.pytorch.utilities import rank_zero_info
from torchvision.datasets.utils import download_url

from lightning_gen.errors import UserError


def not_whole(path: Path, otherwise: str, reason: str = "") -> UserError:
    """What to tell a user whose file of a published dataset is missing, or broken: ``reason``."""
    what = f"broken{reason}. Delete it and set" if path.exists() else "missing. Set"
    return UserError(f"{path} is {what} data.download true to fetch it, or {otherwise}.")


def fetch(path: Path, mirrors: Sequence[str], is_whole: Callable[[Path], bool]) -> None:
    """Download a file to ``path`` from the first mirror that gives it whole, with progress.

    A whole file that is already there is kept; a broken one stays until a whole one replaces it.
    The folders of ``path`` are made when a whole file has come.

    Args:
        path: where the file goes; its name is appended to each mirror.
        mirrors: addresses that end in a slash.
        is_whole: tells a whole file from a broken one.

    Raises:
        UserError: no mirror gave a whole file.
    """
    if path.is_file() and is_whole(path):
        return
    rank_zero_info(
        f"{path.absolute()} is {'broken' if path.exists() else 'not there'}: it is fetched. If you "
        "have it elsewhere, set data.root."
    )
    reasons = []
    for mirror in mirrors:
        try:
            existing = next(folder for folder in path.absolute().parents if folder.is_dir())
            with TemporaryDirectory(dir=existing, prefix=".download-") as folder:
                part = Path(folder) / path.name
                download_url(mirror + path.name, folder, path.name)
                if not is_whole(part):
                    size = part.stat().st_size
                    raise RuntimeError(f"{size} bytes came, and they are not the file")
                path.parent.mkdir(parents=True, exist_ok=True)
                part.replace(path)
            return
        except (RuntimeError, OSError, HTTPException) as error:
            reasons.append(" ".join(f"{mirror}: {error}".split()))
    raise UserError(
        f"{path.name} could not be downloaded whole ({'; '.join(reasons)}). "
        f"Check the network, or put the file at {path}."
    )
