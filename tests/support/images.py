"""Folders of images, and what their splits hold."""

import os

import numpy as np
import torch
from PIL import Image

from lightning_gen.data import ImageFolder


def write_noise(folder, names, size=(24, 20)):
    """Images that look alike to nobody; the same for the same names."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng([*os.fsencode(name)])
        pixels = random.integers(256, size=(*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)


def image_folder(root, **arguments):
    """The datamodule of a folder, with small images."""
    return ImageFolder(str(root), **{"image_size": 8, "num_workers": 0, **arguments})


def everything(source):
    """All images of a source, as one batch."""
    return source[torch.arange(len(source))]


def batches_of(data, epochs=2):
    """The batches of all splits, those for training of several epochs."""
    data.setup("fit")
    data.setup("test")
    train = data.train_dataloader()
    found = []
    for epoch in range(epochs):
        train.sampler.set_epoch(epoch)
        found += train
    return [*found, *data.val_dataloader(), *data.test_dataloader()]


def assert_same(batches, others):
    """Two lists of batches are equal, in pixels, labels and factors."""
    assert len(batches) == len(others) > 0
    for batch, other in zip(batches, others, strict=True):
        assert all(a.equal(b) for a, b in zip(batch, other, strict=True))
