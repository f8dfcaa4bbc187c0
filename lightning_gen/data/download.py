"""Downloads that leave a whole file or none."""

from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory

from lightning.pytorch.utilities import rank_zero_info
from torchvision.datasets.utils import check_md5, download_url

from lightning_gen.errors import UserError


def has_md5(md5: str) -> Callable[[Path], bool]:
    """A check that a file has this md5."""
    return lambda path: bool(check_md5(path, md5))


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
        return None
    rank_zero_info(
        f"{path.absolute()} is {'broken' if path.exists() else 'not there'}: it is fetched. If you "
        "have it elsewhere, set data.root."
    )
    reasons = []
    for mirror in mirrors:
        try:
            return _download(mirror + path.name, path, is_whole)
        except (RuntimeError, OSError, HTTPException) as error:
            reasons.append(" ".join(f"{mirror}: {error}".split()))
    raise UserError(
        f"{path.name} could not be downloaded whole ({'; '.join(reasons)}). "
        f"Check the network, or put the file at {path}."
    )


def _download(address: str, path: Path, is_whole: Callable[[Path], bool]) -> None:
    existing = next(folder for folder in path.absolute().parents if folder.is_dir())
    with TemporaryDirectory(dir=existing, prefix=".download-") as folder:
        download_url(address, folder, path.name)
        part = Path(folder) / path.name
        if not is_whole(part):
            raise RuntimeError(f"{part.stat().st_size} bytes came, and they are not the file")
        path.parent.mkdir(parents=True, exist_ok=True)
        part.replace(path)
