"""The explorer of untrained models, on real images."""

import threading
from contextlib import contextmanager

import torch
import torch.nn.functional as F

from lightning_gen.data import MiniFashionMNIST
from lightning_gen.runs.explore.gather import gather
from lightning_gen.runs.explore.server import listener_on, server_of
from lightning_gen.runs.inputs import Inputs, NamedBatch
from support.finished import run_of
from support.models import batch_of

SLIDE = """(async () => {
  const input = document.querySelector("#sliders input");
  for (let k = 1; k <= 15; k++) {
    const seen = timings.slider.length;
    input.value = +input.min + (k / 16) * (input.max - input.min);
    input.dispatchEvent(new Event("input"));
    while (timings.slider.length === seen) await new Promise((next) => setTimeout(next, 5));
  }
  return timings.slider.toSorted((a, b) => a - b)[7];
})()"""
"""Moves the first slider; the median of the milliseconds until its picture stood there."""


class Given(Inputs):
    """Validation images of MiniFashionMNIST at the shape of a model, with classes in turn."""

    class_names = tuple("abcdefghij")

    def __init__(self, run, count=60):
        channels, *size = run.image_shape
        images = MiniFashionMNIST().batch("val", count).images
        images = F.interpolate(images, tuple(size)).expand(-1, channels, -1, -1)
        self.batch = batch_of(images)

    def __len__(self):
        return len(self.batch.images)

    def __iter__(self):
        yield NamedBatch(self.batch, [str(n) for n in range(len(self))])


def explored(model, projection="PCA"):
    """What the explorer shows of a model."""
    run = run_of(model)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return gather(run, Given(run), 60, projection)


@contextmanager
def served(*runs):
    """The address of the explorer of these runs, in a thread of this process."""
    with listener_on(0) as listener:
        server = server_of(runs)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join()
