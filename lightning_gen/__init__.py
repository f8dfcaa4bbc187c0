"""Experiments with generative image models on PyTorch Lightning."""

from importlib.metadata import version

__version__ = version("lightning-gen")
