"""Experiments with generative image models on PyTorch Lightning."""

# Nothing is imported here, so that ``python -m lightning_gen`` can leave the working directory off
# its import path first.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from lightning.pytorch import LightningModule

    __version__: str


def load(place: str, device: str = "cpu", allow: str = "") -> "LightningModule":
    """The model of a finished run with its best weights, frozen and in evaluation mode.

    Args:
        place: a run directory, a checkpoint, or the name of a run (its latest version).
        device: where the model is put; "auto" is a CUDA device where there is one.
        allow: modules of yours, with commas, whose classes the run may name.

    Raises:
        UserError: there is no such run, or its checkpoint cannot be used.
    """
    from lightning_gen.allowed import granted, modules
    from lightning_gen.runs import FinishedRun

    with granted(modules(allow)):
        return FinishedRun.open(place, device).model


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("lightning-gen")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
