"""Experiments with generative image models on PyTorch Lightning.

``lightning_gen.models.VAE``, ``lightning_gen.fit`` and all else of ``__all__`` is imported when it
is first asked for, so that ``python -m lightning_gen`` can leave the working directory off its
import path first, and ``--help`` answers at once.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lightning_gen import callbacks, data, models, networks, objectives, pictures, priors
    from lightning_gen.runs.finished import FinishedRun, load
    from lightning_gen.runs.fit import fit
    from lightning_gen.runs.pages.compare import compare
    from lightning_gen.training.default_callbacks import default_callbacks

    __version__: str

__all__ = [
    "FinishedRun",
    "callbacks",
    "compare",
    "data",
    "default_callbacks",
    "fit",
    "load",
    "models",
    "networks",
    "objectives",
    "pictures",
    "priors",
]

HOMES = {
    "FinishedRun": "runs.finished",
    "compare": "runs.pages.compare",
    "default_callbacks": "training.default_callbacks",
    "fit": "runs.fit",
    "load": "runs.finished",
}
"""Where each name stands that is no room itself."""


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "__version__":
        from importlib.metadata import version

        return version("lightning-gen")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in HOMES:
        return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
    return import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
