"""Pictures of a finished run."""

from math import prod
from pathlib import Path

from matplotlib.figure import Figure

from lightning_gen.contracts import Encodes, Reconstructs, able
from lightning_gen.errors import UserError
from lightning_gen.pictures import Names, Picture, Seen, View
from lightning_gen.pictures.codes import codes_of, join, unlabelled
from lightning_gen.runs.coding import expected_length, read_codes
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.inputs import Inputs, SplitInputs
from lightning_gen.runs.outputs import check_ending, write_picture, write_view


def draw(
    run: FinishedRun, picture: Picture, inputs: Inputs, out: Path, from_codes: Path | None = None
) -> Path:
    """Write a picture of a finished run; a UserError where model or images lack what is shown.

    Args:
        run: the finished run.
        picture: what is drawn.
        inputs: the images.
        out: a page (.png, .pdf or .svg), a film of a walk (.gif or .mp4), or, of images, a folder
            of PNGs or an .npz.
        from_codes: of a walk, codes in place of images, as encode and project write them.
    """
    if from_codes is not None:
        drawn = walk(run, picture, from_codes.expanduser(), out)
    else:
        drawn = drawn_by(run, picture, inputs, out)
    if isinstance(drawn, View):
        named = drawn._replace(title=f"{run.name}{run.samples_from}: {drawn.title}")
        return write_view(named, out, film=picture.film)
    check_ending(out, (".png", ".pdf", ".svg"))
    write_picture(drawn, out)
    return out


def walk(run: FinishedRun, picture: Picture, path: Path, out: Path) -> View | Figure:
    """The picture of a walk between, or around, the codes of a file."""
    if not picture.film or picture.looks_at == 0:
        raise UserError("--from_codes is of walks, interpolate and traverse, and not of draws.")
    run.require(picture.requires, type(picture).__name__)
    run.check_request(out, picture.num_drawn)
    codes = read_codes(path)[: picture.looks_at]
    with expected_length(run, codes, path):
        return picture.draw(run.model, Seen(path.stem, codes=unlabelled(codes)))


def drawn_by(run: FinishedRun, picture: Picture, inputs: Inputs, out: Path) -> View | Figure:
    """The picture, before it is written; one that ``out`` or memory cannot take is refused."""
    run.require(picture.requires, type(picture).__name__)
    if not isinstance(inputs, SplitInputs):
        run.require((Encodes,), "--images")
    # The images are in memory twice.
    run.check_request(out, picture.num_drawn, held=2 * picture.num_drawn * prod(run.image_shape))
    if picture.looks_at == 0 or not able(run.model, (Encodes | Reconstructs,)):
        return picture.draw(run.model, Seen())
    names = Names(inputs.class_names, inputs.factor_names)
    picture.check(run.model, names)
    count, files, batch, codes = picture.looks_at, list[str](), None, None
    if picture.of_codes:
        codes = join([codes_of(run.model, part) for part, _ in inputs.shown("encoding", count)])
    else:
        batch, files = inputs.first(count)
    complete = len(inputs) <= count
    what = f"{inputs.split} images" if isinstance(inputs, SplitInputs) else "images"
    return picture.draw(run.model, Seen(what, batch, codes, names, files, complete))
