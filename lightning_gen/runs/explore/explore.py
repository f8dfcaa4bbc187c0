"""``explore``: the page, served on this machine or written as one file."""

from pathlib import Path

from lightning_gen.errors import UserError
from lightning_gen.runs.explore.gather import (
    Explored,
    ProjectionName,
    check_beside,
    functions_of,
    gather,
)
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.inputs import FileInputs, Inputs, SplitInputs, SplitName

LIBRARY = Path("node_modules/onnxruntime-web")


def explore(
    run: FinishedRun,
    out: Path | None = None,
    images: Path | None = None,
    split: SplitName = "train",
    num_images: int = 1000,
    projection: ProjectionName = "PCA",
    beside: str | None = None,
    port: int = 0,
    onnxruntime_web: Path | None = None,
) -> Path:
    """Look at the codes of a model in the browser.

    Args:
        run: the finished run.
        out: an .html file that holds everything; by default a page on 127.0.0.1 until Ctrl-C.
        images: on the map, an image file or a folder, in place of a split.
        split: of the run's dataset, on the map.
        num_images: on the map, at least 3, and fewer where the codes are long.
        projection: of codes of more than two dimensions: PCA, TSNE or UMAP.
        beside: a second run, which decodes the same codes.
        port: of the page on this machine; 0 is any that is free.
        onnxruntime_web: for --out, the folder of that npm package, which
            is node_modules/onnxruntime-web where none is named.
    """
    library = onnxruntime_web or LIBRARY
    if out is None:
        from lightning_gen.runs.explore.server import serve  # the extra explore
    else:
        check_page(out, library)
        run.model.cpu()
    inputs: Inputs = SplitInputs(run, split) if images is None else FileInputs(run, images)
    explored = [gather(run, inputs, num_images, projection)]
    if inputs.note():
        print(inputs.note())
    if beside is not None:
        second = FinishedRun.open(beside, str(run.model.device))
        explored.append(Explored(second, functions_of(second), {}))
        check_beside(*explored)
    if out is None:
        serve(explored, port)
        return run.path
    from lightning_gen.runs.explore.static import write_static

    return write_static(explored, out, library)


def check_page(out: Path, library: Path) -> None:
    """Raise a UserError where no page can be written, before a run is looked at."""
    if out.suffix not in (".html", ".htm"):
        raise UserError(f"--out takes an .html file, got {out}.")
    if not (library / "dist").is_dir():
        raise UserError(
            f"a page that decodes by itself takes the npm package onnxruntime-web, and {library} "
            "is no folder of it. Run: npm install onnxruntime-web, or pass --onnxruntime_web."
        )
