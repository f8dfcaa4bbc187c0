"""How fast ``lightning-gen fit`` trains on one GPU, beside what else one would train there with.

    python benchmarks/gpu.py --json gpu.json

- The dense and the convolutional VAE on Fashion-MNIST at batch 128, beside a loop written by hand
  with the images on the GPU and each step a replay of one CUDA graph, with a fused Adam; and over
  the same fit on torchvision's dataset in a DataLoader with 8 workers.
- ResVAE on 3x128x128 at batch 256 in bf16, compiled, beside a compiled loop with a fused Adam. The
  images are noise: they cost what photographs cost that were decoded before.
- VQ-VAE on MNIST: seconds of 100 epochs of 50,000 images, with all that a fit does by default.
  ``against_pythae.py --vqvae`` lays pythae beside it on the same GPU.

Each is measured with ``trainer.cuda_graphs`` and without; the targets are for what is with.

Each fit is the command line's own, in this process; after each epoch its rivals train the same
networks for as many batches. A ratio is that of such a round, the clock waits for the GPU at the
end of each side's batches, and the first round, which compiles, is warm-up. Without a GPU all of it
runs in small on the CPU, without graphs and compilers, to show that it does, and says so.
"""

import argparse
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

import torch
from bare import BareLoop, CompiledLoop, GraphedLoop, TunedLoop, squared_error
from common import (
    BATCH_SIZE,
    CONV,
    DENSE,
    EXPERIMENTS,
    arguments,
    finish,
    in_words,
    print_table,
    quotients,
    spread,
)
from fits import COMPILE, Clock, fit
from throughput import Measured, Rivals, measure
from usual_data import (
    RandomImages,
    fashion_mnist,
    fashion_mnist_words,
    has_fashion_mnist,
    mnist_words,
)

GRAPHS = ("--trainer.cuda_graphs", "true")
TARGETS = {"graphed": 0.8, "usual": 10.0, "compiled": 0.9}
EPOCHS = 100
PARTS = ("vaes", "resvae", "vqvae")


class Sizes(NamedTuple):
    """What is trained."""

    batches: int
    """Of an epoch of a VAE on Fashion-MNIST."""
    workers: int
    res_pixels: int
    res_batch: int
    res_batches: int
    vqvae_batches: int | None
    """Of an epoch; None is all."""


ON_GPU = Sizes(420, 8, 128, 256, 30, None)
IN_SMALL = Sizes(2, 2, 32, 4, 2, 2)


def one_gpu(gpu: bool) -> list[str]:
    """Where all fits run."""
    return ["--trainer.accelerator", "cuda" if gpu else "cpu", "--trainer.devices", "1"]


def with_and_without(name: str) -> dict[str, tuple[str, ...]]:
    """The titles of two fits, and the words that they have more than others."""
    return {f"{name}, CUDA graphs": GRAPHS, name: ()}


def vaes(args: argparse.Namespace, sizes: Sizes, gpu: bool) -> dict[str, dict]:
    """Both VAEs beside the loops, and over the usual data."""
    images = fashion_mnist(args.root).load_train().images
    root = str(args.root) if has_fashion_mnist(args.root) else ""
    usual = ["--allow", "usual_data", "--data", "usual_data.UsualFashionMNIST"]
    usual += ["--data.root", root, "--data.num_workers", str(sizes.workers)]
    loops = {"graphed": GraphedLoop, "tuned": TunedLoop, "bare": BareLoop}
    results = {}
    for name, experiment in {"dense": DENSE, "conv": CONV}.items():
        print(f"... {name} VAE, DataLoader with {sizes.workers} workers", flush=True)
        words = ["--config", str(experiment), *one_gpu(gpu)]
        rivals = Rivals(images, {"bare": BareLoop})
        slow = measure([*words, *usual], rivals, sizes.batches, args.repeats)
        speed = slow.summary()["images_per_second"]
        words += fashion_mnist_words(args.root)
        for title, more in with_and_without(f"{name} VAE").items():
            print(f"... {title}", flush=True)
            rivals = Rivals(images, loops)
            found = measure([*words, *more], rivals, sizes.batches, args.repeats)
            results[title] = {
                **found.summary(),
                "over_usual": spread(quotients(slow.fit, found.fit)),
                "usual_images_per_second": speed,
                "targets": {"over_graphed": TARGETS["graphed"], "over_usual": TARGETS["usual"]},
            }
    return results


def resvae(args: argparse.Namespace, sizes: Sizes, gpu: bool) -> dict[str, dict]:
    """The residual VAE beside a compiled loop."""
    pixels, batch_size = sizes.res_pixels, sizes.res_batch
    count = batch_size * (sizes.res_batches + 1)
    words = ["--model", "ResVAE", *one_gpu(gpu), "--trainer.precision", "bf16-mixed", *COMPILE]
    words += ["--allow", "usual_data", "--data", "usual_data.RandomImages", "--data.image_size"]
    words += [
        str(pixels),
        "--data.batch_size",
        str(batch_size),
        "--data.images",
        str(count * 5 // 4),
    ]
    images = RandomImages(pixels, images=count).load_train().images
    loops = {"compiled": CompiledLoop, "bare": BareLoop}
    results = {}
    for title, more in with_and_without("ResVAE").items():
        print(f"... {title}", flush=True)
        rivals = Rivals(images, loops, batch_size=batch_size, nats=squared_error, bf16=True)
        found: Measured = measure([*words, *more], rivals, sizes.res_batches, args.repeats)
        results[title] = {**found.summary(), "targets": {"over_compiled": TARGETS["compiled"]}}
    return results


def vqvae(args: argparse.Namespace, sizes: Sizes, gpu: bool) -> dict[str, dict]:
    """Seconds of a whole fit, without the test after it; without graphs from a tenth of it."""
    epochs = args.epochs or (EPOCHS if gpu else 2)
    words = ["--config", str(EXPERIMENTS / "fashion_mnist_vqvae.yaml"), *one_gpu(gpu)]
    words += [*mnist_words(args.root), "--data.val_fraction", str(1 / 6)]
    words += ["--model.lr_scheduler", "null"]
    if sizes.vqvae_batches is not None:
        words += ["--trainer.limit_train_batches", str(sizes.vqvae_batches)]
        words += ["--trainer.limit_val_batches", str(sizes.vqvae_batches)]
    results = {}
    for title, more in with_and_without("VQ-VAE").items():
        trained = epochs if more else max(1, epochs // 10)
        print(f"... {title}, {trained} epochs", flush=True)
        count = ["--model.autoencoder_epochs", str(trained), "--trainer.max_epochs", str(trained)]
        clock = Clock()
        seconds = fit([*words, *more, *count], clock)
        each = median(sum(epoch) for epoch in clock.epochs[1:] or clock.epochs)
        whole = seconds + (EPOCHS - trained) * each
        results[title] = {"epochs": trained, "seconds": whole, "seconds_an_epoch": each}
    return results


def show(results: dict[str, dict]) -> None:
    """A row a fit."""
    columns = ["graphed", "compiled", "usual", "tuned", "bare"]
    rows = [["fit over", *columns, "images/s"]]
    for name, found in results.items():
        if "targets" in found:
            cells = [found.get(f"over_{column}") for column in columns]
            ratios = [in_words(cell) if cell else "" for cell in cells]
            rows.append([name, *ratios, f"{found['images_per_second']:.0f}"])
    if len(rows) > 1:
        print_table(rows)
        print(", ".join(f"over {name} at least {least}" for name, least in TARGETS.items()))
    for name, found in results.items():
        if "epochs" in found:
            whole, trained = found["seconds"], found["epochs"]
            print(f"{name}: {whole:.0f} s for {EPOCHS} epochs, {trained} measured.")


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="some of it")
    parser.add_argument("--repeats", type=int, default=5, help="rounds that are measured")
    parser.add_argument("--epochs", type=int, help="of the VQ-VAE (default: 100 on a GPU)")
    args = parser.parse_args()
    gpu = torch.cuda.is_available()
    sizes = ON_GPU if gpu else IN_SMALL
    parts: dict[str, Callable[[], dict]] = {
        "vaes": lambda: vaes(args, sizes, gpu),
        "resvae": lambda: resvae(args, sizes, gpu),
        "vqvae": lambda: vqvae(args, sizes, gpu),
    }
    results: dict[str, dict] = {}
    for name in args.only:
        results |= parts[name]()
    show(results)
    if not gpu:
        print("There is no GPU here: this ran in small on a CPU, and the GPU half is not measured.")
    settings = {**sizes._asdict(), "batch_size": BATCH_SIZE, "repeats": args.repeats}
    finish(args, {"measured_on_a_gpu": gpu, "settings": settings, "fits": results})


if __name__ == "__main__":
    main()
