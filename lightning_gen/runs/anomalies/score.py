"""``score``: images ranked by how unusual they are to a model of normal ones."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from markupsafe import Markup

from lightning_gen.atomic import write_rows
from lightning_gen.contracts import info_of
from lightning_gen.errors import UserError, nearest
from lightning_gen.figures.histogram import histograms
from lightning_gen.figures.style import to_svg
from lightning_gen.runs.anomalies.masks import Masks
from lightning_gen.runs.anomalies.scored import Scored
from lightning_gen.runs.anomalies.scorer import UNITS, ScoreName, Scorer
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.inputs import FileInputs, Inputs
from lightning_gen.runs.outputs import check_ending
from lightning_gen.runs.pages.html import write_page
from lightning_gen.training.scores import number

USUAL = ("good", "normal", "ok")
"""What folders of normal images are called."""


def score(
    run: FinishedRun,
    inputs: Inputs,
    out: Path,
    by: ScoreName = "squared_error",
    normal: Sequence[str] = (),
    masks: Path | None = None,
    quantile: float = 0.99,
    num_images: int | None = None,
    num_shown: int = 40,
) -> Path:
    """Score images by how unusual they are, the most unusual first.

    Args:
        run: the finished run, of a model that was trained on normal images.
        inputs: the images.
        out: a page (.html) with a .csv beside it, or the .csv alone.
        by: the score that ranks them: squared_error, that of the reconstruction, the mean over
            pixels; negative_elbo in nats, of a VAE; or code_distance, of the code to those of the
            training images, in standard deviations.
        normal: folders or classes of the images that are normal, so that AUROC tells how well the
            scores part them from all others. By default those of the training, or folders called
            good, normal or ok.
        masks: a folder with the masks of anomalies, bright where the defect is, called as the
            images, or with _mask behind. They give the AUROC of pixels.
        quantile: the share of validation images below the threshold.
        num_images: the first so many; all by default.
        num_shown: images on the page.
    """
    check_ending(out, (".html", ".htm", ".csv"))
    if not 0 < quantile < 1:
        raise UserError(f"quantile is a share between 0 and 1, got {quantile}. Set it to 0.99.")
    run.check_request(Path("page.png"), 3 * num_shown)
    known = Masks(masks, run.image_shape) if masks else None
    folder = inputs.folder if isinstance(inputs, FileInputs) else ""
    scorer, scored = Scorer(run), Scored(by, normal or _trained_on(run), folder, known, num_shown)
    for part in inputs.shown("scoring", num_images):
        scored.add(part, scorer(part.batch), inputs.class_names)
    if missing := [kind for kind in normal if kind not in scored.kinds]:
        raise UserError(f"normal: no image is of {missing[0]!r}{nearest(missing[0], scored.kinds)}")
    usual = scorer.of_validation(by)
    threshold = float(np.quantile(usual, quantile)) if usual else None
    areas = scored.areas()
    notes = [*scorer.notes, *(known.notes if known else [])]
    facts = [*_in_words(scored, areas, threshold, quantile), *notes]
    write_rows(out.with_suffix(".csv"), scored.rows(threshold))
    if out.suffix != ".csv":
        groups = {"validation images": usual, **scored.by_kind()} if usual else scored.by_kind()
        chart = histograms(groups, f"{by} of images", f"{by}, {UNITS[by]}", threshold)
        drawn = Markup(to_svg(chart, "scores"))
        about = {"run": run.name, "unit": UNITS[by], "threshold": threshold, "facts": facts}
        write_page("scored.html", out, scored=scored, areas=areas, chart=drawn, **about)
    print("\n".join([*facts, *(f"AUROC of {name}: {area}" for name, area in areas.items())]))
    return out


def _trained_on(run: FinishedRun) -> Sequence[str]:
    """The classes that alone were trained on, or else the usual names of normal ones."""
    info = None
    with suppress(UserError):  # the dataset is not at hand
        info = info_of(run.data)
    own = [info.class_names[label] for label in info.normal_classes] if info else []
    return own or USUAL


def _in_words(
    scored: Scored, areas: Mapping[str, str], threshold: float | None, quantile: float
) -> Iterator[str]:
    """What was found, a sentence each."""
    fine = sum(kind in scored.normal for kind in scored.kinds)
    yield f"{len(scored.names):,} images, {fine:,} of them known as normal."
    if threshold is not None:
        above = sum(value > threshold for value in scored.ranked)
        yield (
            f"{above:,} are above {number(threshold)} ({scored.by}), and {quantile:.4g} of the "
            "validation images are below."
        )
    if not areas:
        yield (
            "There is no AUROC: it takes two or more normal images, and as many others. Normal are "
            f"{', '.join(scored.normal)}; --normal names the folders or classes that are."
        )
