"""``project``: images through codes that are found by optimisation."""

from pathlib import Path

import torch

from lightning_gen import contracts
from lightning_gen.atomic import draft, no_formula, write_rows
from lightning_gen.contracts import Codes, Images
from lightning_gen.features import Extractor
from lightning_gen.figures.film import FILMS, HELD, write_film
from lightning_gen.figures.grid import image_rows
from lightning_gen.metrics import PSNR
from lightning_gen.pictures.picture import decode_all
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.inputs import Inputs, SplitInputs
from lightning_gen.runs.inversion import find_codes
from lightning_gen.runs.outputs import ResultBatch, check_ending, write, write_picture

OF_A_SPLIT = 10
"""Images of a split, unless the user asks for more."""
PAGES = 40
"""Of a film, more of them of the first steps, in which most happens."""


def project(
    run: FinishedRun,
    inputs: Inputs,
    out: Path,
    num_images: int | None = None,
    restarts: int = 4,
    steps: int = 300,
    features: Extractor | None = None,
    film: Path | None = None,
    batch_size: int = 256,
    seed: int = 0,
) -> Path:
    """Find the codes whose decoded images are nearest to given ones.

    Args:
        run: the finished run.
        inputs: the images.
        out: a folder for codes.npz, as encode writes it, psnr.csv, and projection.png with images,
            projections and their difference.
        num_images: the first so many; by default all files, or 10 of a split.
        restarts: searches for each image, from the nearest of 1,000 draws of the prior, beside one
            from its own code where the model encodes; the best one counts.
        steps: of each search.
        features: an extractor, such as FashionMNISTClassifier, whose features are to agree, too.
        film: a .gif or .mp4 of the search.
        batch_size: codes decoded at once.
        seed: of the draws.
    """
    run.require(contracts.WALKS, "project")
    check_ending(out, ("",))
    if film is not None:
        film = film.expanduser()
        check_ending(film, FILMS, "--film")
    wanted = num_images or (OF_A_SPLIT if isinstance(inputs, SplitInputs) else len(inputs))
    run.check_request(out / "projection.png", 3 * min(wanted, len(inputs)))
    batch, names = inputs.first(wanted)
    seen_at = sorted({round(steps * (n / (PAGES - 1)) ** 2) for n in range(PAGES)}) if film else []
    torch.manual_seed(seed)
    way = find_codes(run, batch, restarts, steps, features, batch_size, seen_at)
    found = decode_all(run.model, way[-1])
    ratios = PSNR.of(found, batch.images).tolist()
    mean = f"PSNR {sum(ratios) / len(ratios):.2f} dB"
    if film is not None:
        _write_search(run, batch.images, dict(zip(seen_at, way, strict=True)), film)
    known = {"codes": way[-1], "labels": batch.labels, "factors": batch.factors}
    about = inputs.class_names, inputs.factor_names
    write(out / "codes.npz", [ResultBatch(names, {}, known)], "", *about, images=False)
    table = [(no_formula(name), f"{ratio:.4f}") for name, ratio in zip(names, ratios, strict=True)]
    write_rows(out / "psnr.csv", [("name", "psnr"), *table])
    difference = (found - batch.images).abs()
    rows = {"image": batch.images, "projection": found, "difference": difference}
    write_picture(image_rows(rows, f"Projections by {run.name}, {mean}"), out / "projection.png")
    print("\n".join(f"{ratio:6.2f} dB  {name}" for name, ratio in zip(names, ratios, strict=True)))
    print(f"{mean}, the mean of {len(names):,} images")
    return out


def _write_search(run: FinishedRun, images: Images, way: dict[int, Codes], film: Path) -> None:
    """A page for each of the steps, the last one held."""
    pages = [
        image_rows(
            {"image": images, "projection": decode_all(run.model, codes)},
            f"Projections by {run.name}, step {step}",
        )
        for step, codes in way.items()
    ]
    with draft(film) as unfinished:
        write_film([*pages, *[pages[-1]] * (HELD - 1)], unfinished, film.suffix)
