"""How fast images are loaded: a folder of JPEGs in its first epoch, and in all that follow.

    python benchmarks/loading.py --json loading.json

The folder is like CelebA, 5,000 faces of 178x218 (500 drawn ones, each ten times), brought to
128x128 and loaded in batches of 256. Beside our datamodule stand the same without a cache on disk,
decoded by workers, and the usual way: a DataLoader over torchvision's ImageFolder. Nothing is
trained. The files have just been written, so that reading them costs the disk nothing.

Then JPEGs of 1024x1024 are decoded by one thread, at full and at reduced scale (DCT scaling), for
each ratio of the reduced size to the size wanted that may be asked for at least.
"""

import argparse
import io
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from common import arguments, finish, in_words, print_table, spread
from drawn_faces import Face, draw_attributes
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from lightning_gen.data import ImageFolder, decoding, encoded

SIZE, BATCH_SIZE, QUALITY = 128, 256, 90
LARGE = 1024
DRAWN = 500
TARGET = 10.0


def write_faces(folder: Path, count: int) -> None:
    """JPEGs of drawn faces, in two classes."""
    for number in range(min(count, DRAWN)):
        random = np.random.default_rng(number)
        content = jpeg(Face(draw_attributes(random), random).image())
        for again in range(number, count, DRAWN):
            path = folder / str(again % 2) / f"{again:06}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def jpeg(image: Image.Image) -> bytes:
    """The image as a file."""
    stream = io.BytesIO()
    image.save(stream, "jpeg", quality=QUALITY)
    return stream.getvalue()


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def rates(start: Callable[[], Iterable], count: int) -> list[float]:
    """Images per second in the first epoch, what comes before it included, and in the second."""
    loaders: list[Iterable] = []

    def first() -> None:
        loaders.append(start())
        exhaust(loaders[0])

    return [count / seconds(first), count / seconds(lambda: exhaust(loaders[0]))]


def exhaust(loader: Iterable) -> None:
    """Load an epoch."""
    for _ in loader:
        pass


class Epochs:
    """The ways to load the folder; each starts anew when it is called.

    Args:
        folder: holds the images.
        workers: processes of those that use some.
    """

    def __init__(self, folder: Path, workers: int) -> None:
        self.folder = folder
        self.caches = folder.with_name("caches")
        self.workers = workers

    def measure(self) -> dict[str, list[float]]:
        """Images per second in the first and the second epoch."""
        shutil.rmtree(self.caches, ignore_errors=True)
        found = {"cache": self._ours(self.caches), "cache, next run": self._ours(self.caches)}
        with patch.object(encoded, "IN_MEMORY_BYTES", 0):  # as if it were a hundred times as large
            found["cache, too large for memory"] = self._ours(self.caches)
            found["no cache, workers"] = self._ours(None)
        return found | {"torchvision, DataLoader": self._usual()}

    def _ours(self, cache: Path | None) -> list[float]:
        data = ImageFolder(
            str(self.folder),
            image_size=SIZE,
            batch_size=BATCH_SIZE,
            val_fraction=0.0,
            test_fraction=0.02,
            num_workers=self.workers,
            cache=None if cache is None else str(cache),
        )

        def start() -> Iterable:
            data.setup("fit")
            return data.train_dataloader()

        return rates(start, len(data._positions["train"]))

    def _usual(self) -> list[float]:
        steps = [transforms.Resize(SIZE), transforms.CenterCrop(SIZE), transforms.ToTensor()]
        data = datasets.ImageFolder(str(self.folder), transforms.Compose(steps))
        options = {"batch_size": BATCH_SIZE, "shuffle": True, "num_workers": self.workers}
        return rates(lambda: DataLoader(data, **options), len(data))


def measure_epochs(args: argparse.Namespace) -> dict[str, dict]:
    """Medians over repeats; the ways take turns, so that all meet the same machine."""
    found: dict[str, list[list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        print(f"... writing {args.images} images", flush=True)
        write_faces(Path(folder, "faces"), args.images)
        epochs = Epochs(Path(folder, "faces"), args.workers)
        for repeat in range(args.repeats):
            print(f"... loading, {repeat + 1} of {args.repeats}", flush=True)
            for name, pair in epochs.measure().items():
                found.setdefault(name, []).append(pair)
    return {
        name: {
            "first_epoch": spread([first for first, _ in pairs]),
            "second_epoch": spread([second for _, second in pairs]),
            "second_over_first": spread([second / first for first, second in pairs]),
            "target": TARGET if name == "cache" else None,
        }
        for name, pairs in found.items()
    }


def draw_natural(random: np.random.Generator, side: int) -> Image.Image:
    """Noise with the spectrum of photographs (power 1/f^2), and discs with sharp edges."""
    rows, columns = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    amplitude = 1 / np.hypot(rows, columns).clip(1 / side)
    phases = random.random((4, *amplitude.shape))
    fields = np.fft.irfft2(amplitude * np.exp(2j * np.pi * phases), s=(side, side))
    fields /= fields.std(axis=(1, 2), keepdims=True)
    pixels = np.stack([fields[0] + 0.4 * field for field in fields[1:]], axis=2)
    down, right = np.mgrid[:side, :side]
    for y, x, radius in random.random((30, 3)) * (side, side, side / 8):
        pixels[np.hypot(down - y, right - x) < radius] += random.normal(size=3)
    return Image.fromarray((128 + 45 * pixels).clip(0, 255).astype(np.uint8))


def measure_scales(args: argparse.Namespace) -> dict[str, dict]:
    """Images per second of one thread, and the error against decoding at full scale."""
    random = np.random.default_rng(0)
    files = [jpeg(draw_natural(random, LARGE)) for _ in range(args.large_images)]
    print(f"... decoding {len(files)} images of {LARGE}x{LARGE}", flush=True)
    found: dict[str, dict] = {}
    with patch.object(JpegImageFile, "draft", lambda *_: None):
        found["full scale"] = decoding_speed(files, args.repeats)
        whole = decoded(files)
    for ratio in (1, decoding.DRAFT, 3):
        with patch.object(decoding, "DRAFT", ratio):
            scaled = decoding_speed(files, args.repeats)
            errors = (decoded(files) - whole).square().mean(dim=(1, 2, 3)).clamp(min=1e-3)
            scaled["psnr_db"] = (10 * torch.log10(255**2 / errors)).mean().item()
        found[f"at least {ratio} times the size"] = scaled
    return found


def decoded(files: list[bytes]) -> torch.Tensor:
    """The images, brought to SIZE."""
    shape = (3, SIZE, SIZE)
    images = [decoding.decode(io.BytesIO(content), shape) for content in files]
    return torch.from_numpy(np.stack(images)).float()


def decoding_speed(files: list[bytes], repeats: int) -> dict:
    """Images per second."""
    times = [seconds(lambda: decoded(files)) for _ in range(repeats)]
    return {"images_per_second": spread([len(files) / one for one in times])}


def show(epochs: dict[str, dict], scales: dict[str, dict]) -> None:
    """A row a way to load, then a row a scale."""
    rows = [["images per second", "first epoch", "second epoch", "ratio", "target"]]
    for name, row in epochs.items():
        speeds = [in_words(row[f"{which}_epoch"], 0) for which in ("first", "second")]
        target = f"at least {row['target']:.0f}" if row["target"] else ""
        rows.append([name, *speeds, in_words(row["second_over_first"], 1), target])
    print_table(rows)
    rows = [[f"{LARGE}x{LARGE} to {SIZE}x{SIZE}", "images per second", "PSNR, dB"]]
    for name, row in scales.items():
        error = f"{row['psnr_db']:.1f}" if "psnr_db" in row else ""
        rows.append([name, in_words(row["images_per_second"], 0), error])
    print_table(rows)


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--large-images", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2, help="of those that use some")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    epochs, scales = measure_epochs(args), measure_scales(args)
    show(epochs, scales)
    settings = {name: getattr(args, name) for name in ("images", "large_images", "workers")}
    settings["repeats"] = args.repeats
    finish(args, {"settings": settings, "epochs": epochs, "decoding": scales})


if __name__ == "__main__":
    main()
