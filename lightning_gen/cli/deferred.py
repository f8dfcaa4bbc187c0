"""torchmetrics, run when more of it is wanted than Lightning wants."""

import logging
import sys
from contextlib import suppress
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

NAME = "torchmetrics"
CLASSES = {"Metric": "torchmetrics.metric", "MetricCollection": "torchmetrics.collections"}
"""What Lightning imports from torchmetrics, and where it is defined."""


class Deferred(ModuleType):
    """torchmetrics without its ``__init__``, which runs when something else is asked of it.

    Its parts can be imported by their own names meanwhile.
    """

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  (whatever is in torchmetrics)
        """One of ``CLASSES``, or what their files ask for; for all else torchmetrics is run."""
        if name == "__version__":
            return version(NAME)
        if name == "_logger":
            return logging.getLogger(NAME)
        if name in CLASSES:
            with suppress(ImportError, AttributeError):  # another version may have it elsewhere
                import_module("torchmetrics.utilities.checks")  # before metric, for a cycle
                return getattr(import_module(CLASSES[name]), name)
        self.__class__ = ModuleType  # type: ignore[assignment]
        assert self.__spec__ is not None
        assert self.__spec__.loader is not None
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def defer_torchmetrics() -> None:
    """Let Lightning have the base classes of torchmetrics without a hundred metrics.

    Those, and the scipy that they import, are a third of what it takes to import Lightning. Where
    torchmetrics is imported already, nothing happens.
    """
    if NAME not in sys.modules and (spec := find_spec(NAME)) is not None:
        module = module_from_spec(spec)
        module.__class__ = Deferred
        sys.modules[NAME] = module
