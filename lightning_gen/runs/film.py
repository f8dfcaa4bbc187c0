"""``film``: how a picture of a run changed over its training."""

from pathlib import Path

import numpy as np

from lightning_gen.atomic import draft
from lightning_gen.errors import UserError, nearest
from lightning_gen.figures.film import FILMS, HELD, under_heading, write_film
from lightning_gen.runs.outputs import check_ending, open_picture
from lightning_gen.training.directory import RunDirectory


def film(
    run: Path, out: Path | None = None, kind: str = "samples", milliseconds: int = 200
) -> Path:
    """Put the pictures that a run has drawn of one kind one after the other, with their steps.

    A UserError says that there is no such run or kind, or that a picture is broken.

    Args:
        run: a run directory, a checkpoint inside one, or the name of a run.
        out: a .gif or an .mp4.
        kind: a folder of the run's images, such as samples, latent_scatter or latent_grid.
        milliseconds: how long each picture is shown; the last one ten times as long.
    """
    directory = RunDirectory.of(run.expanduser())
    out = out or directory.path / "film.gif"
    check_ending(out, FILMS)
    paths = sorted((directory.images / kind).glob("*.png"))
    if len(paths) < 2:
        kinds = {path.parent.name for path in directory.images.glob("*/*.png")}
        several = [name for name in kinds if len([*(directory.images / name).glob("*.png")]) > 1]
        raise UserError(
            f"{directory.name} has {len(paths)} pictures of the kind {kind!r}, a film takes two or "
            f"more{nearest(kind, several) if several else '.'}"
        )
    pages = []
    for path in paths:
        try:
            page = np.asarray(open_picture(path))
        except Exception as error:  # Pillow raises nearly anything at broken bytes
            raise UserError(f"{path} cannot be read ({error}). Move it away.") from error
        step = f"{int(path.stem):,}" if path.stem.isdecimal() else path.stem
        pages.append(under_heading(page, f"{directory.name}, step {step}"))
    with draft(out) as unfinished:
        write_film([*pages, *[pages[-1]] * (HELD - 1)], unfinished, out.suffix, milliseconds)
    return out
