"""How fast ``lightning-gen fit`` trains on one GPU, beside loops written by hand.

    python benchmarks/gpu.py --json gpu.json

- The dense and the convolutional VAE on Fashion-MNIST at batch 128 and 1024, beside loops with the
  images on the GPU, and the same fit on torchvision's dataset in a DataLoader with 8 workers.
- ResVAE on 3x128x128 at batch 256 in bf16, with ``trainer.compile`` and without, beside a compiled
  loop with a fused Adam. The images are noise: they cost what decoded photographs cost.

Each fit is the command line's own, in this process; after each epoch its rivals train the same
networks for as many batches. A ratio is that of such a round, the clock waits for the GPU at the
end of each side's batches, and the first round, which compiles, is warm-up. Without a GPU all of it
runs in small on the CPU, to show that it does, and the file of results says so.
"""

from functools import partial
from typing import NamedTuple

import torch
from bare import BareLoop, CompiledLoop, TunedLoop, squared_error
from common import CONV, DENSE
from throughput import Fit, Rivals, measure_all, options
from usual_data import RandomImages, fashion_mnist, fashion_mnist_words, usual_words


class Sizes(NamedTuple):
    """Images of an epoch of a VAE, its batch sizes, workers of a DataLoader; the same of ResVAE."""

    images: int
    batch_sizes: tuple[int, ...]
    workers: int
    pixels: int
    res_batch: int
    res_batches: int


ON_GPU = Sizes(50_000, (128, 1024), 8, 128, 256, 20)
IN_SMALL = Sizes(128, (64,), 2, 32, 4, 2)


def main() -> None:
    """Measure, print, write."""
    args = options(__doc__, 3).parse_args()
    gpu = torch.cuda.is_available()
    sizes = ON_GPU if gpu else IN_SMALL
    run = ["--trainer.accelerator", "cuda" if gpu else "cpu", "--trainer.devices", "1"]
    images = fashion_mnist(args.root).load("train").images
    ways = {
        "": (fashion_mnist_words(args.root), {"bare": BareLoop, "tuned": TunedLoop}),
        ", DataLoader": (usual_words(args.root, sizes.workers), {"bare": BareLoop}),
    }
    fits = {}
    for name, config in {"dense VAE": DENSE, "conv VAE": CONV}.items():
        for size in sizes.batch_sizes:
            for way, (data, loops) in ways.items():
                words = [*run, "--config", str(config), *data, "--data.batch_size", str(size)]
                rivals = partial(Rivals, images, loops, batch_size=size)
                fits[f"{name}, batch {size}{way}"] = Fit(words, rivals, sizes.images // size)
    for name, compiled in {"ResVAE": "false", "ResVAE, compiled": "true"}.items():
        words = [*run, *resvae_words(sizes), "--trainer.compile", compiled]
        fits[name] = Fit(words, partial(resvae_rivals, sizes), sizes.res_batches)
    measure_all(fits, args, **sizes._asdict(), on_a_gpu=gpu)
    if not gpu:
        print("There is no GPU here: this ran in small on a CPU, and no GPU was measured.")


def resvae_words(sizes: Sizes) -> list[str]:
    """ResVAE on noise, in mixed precision."""
    words = ["--model", "ResVAE", "--trainer.precision", "bf16-mixed", "--allow", "usual_data"]
    words += ["--data", "usual_data.RandomImages", "--data.image_size", str(sizes.pixels)]
    words += ["--data.batch_size", str(sizes.res_batch)]
    return [*words, "--data.images", str(sizes.res_batch * (sizes.res_batches + 1) * 5 // 4)]


def resvae_rivals(sizes: Sizes) -> Rivals:
    """Loops in the same precision, one of them compiled, on a batch more than an epoch has."""
    count = sizes.res_batch * (sizes.res_batches + 1)
    images = RandomImages(sizes.pixels, count).load("train").images
    loops = {"bare": BareLoop, "compiled": CompiledLoop}
    return Rivals(images, loops, batch_size=sizes.res_batch, nats=squared_error, bf16=True)


if __name__ == "__main__":
    main()
