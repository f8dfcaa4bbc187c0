"""How fast images are loaded: a folder of JPEGs in its first epoch, and in all that follow.

    python benchmarks/loading.py --json loading.json

The folder is like CelebA, JPEGs of 178x218 with the spectrum of photographs, brought to 128x128 and
loaded in batches of 256. Beside our datamodule stand the same without a cache on disk, decoded by
workers, and the usual way: a DataLoader over torchvision's ImageFolder. Nothing is trained. The
files have just been written, so that reading them costs the disk nothing.
"""

import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from unittest.mock import patch

import numpy as np
from common import arguments, finish, in_words, print_table, spread
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from lightning_gen.data import ImageFolder, image_folder

SIZE, BATCH_SIZE = 128, 256
WIDTH, HEIGHT = 178, 218
DRAWN = 100
"""Different images; the others are copies of these."""
TARGET = 10


def write_images(folder: Path, count: int) -> None:
    """JPEGs in two classes: noise with power 1/f^2 in grey, and some of it in each colour."""
    random = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(HEIGHT)[:, None], np.fft.rfftfreq(WIDTH)[None])
    for number in range(min(count, DRAWN)):
        phases = np.exp(2j * np.pi * random.random((4, *frequency.shape)))
        fields = np.fft.irfft2(phases / frequency.clip(1 / HEIGHT), s=(HEIGHT, WIDTH))
        fields /= fields.std(axis=(1, 2), keepdims=True)
        pixels = 128 + 45 * np.stack([fields[0] + 0.4 * field for field in fields[1:]], axis=2)
        image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        for copy in range(number, count, DRAWN):
            path = folder / str(copy % 2) / f"{copy:06}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path, quality=90)


def rates(start: Callable[[], Iterable]) -> list[float]:
    """Images per second in the first epoch, what comes before it included, and in the second."""
    found, begun = [], time.perf_counter()
    loader = start()
    for _ in range(2):
        count = sum(len(batch[0]) for batch in loader)
        found.append(count / (time.perf_counter() - begun))
        begun = time.perf_counter()
    return found


def ours(folder: Path, workers: int, cache: Path | None) -> list[float]:
    """Our datamodule."""
    options = {"image_size": SIZE, "batch_size": BATCH_SIZE, "num_workers": workers}
    data = ImageFolder(str(folder), cache=None if cache is None else str(cache), **options)

    def start() -> Iterable:
        data.setup("fit")
        return data.train_dataloader()

    return rates(start)


def usual(folder: Path, workers: int) -> list[float]:
    """The dataset of torchvision in torch's DataLoader."""
    steps = [transforms.Resize(SIZE), transforms.CenterCrop(SIZE), transforms.ToTensor()]
    data = datasets.ImageFolder(str(folder), transforms.Compose(steps))
    options = {"batch_size": BATCH_SIZE, "shuffle": True, "num_workers": workers}
    return rates(lambda: DataLoader(data, **options))


def measure(folder: Path, workers: int) -> dict[str, list[float]]:
    """The rates of each way to load; each starts without what the others have left."""
    cache = folder.with_name("cache")
    shutil.rmtree(cache, ignore_errors=True)
    found = {"cache": ours(folder, workers, cache), "cache, next run": ours(folder, workers, cache)}
    with patch.object(image_folder, "IN_MEMORY_BYTES", 0):  # as if it were a hundred times as large
        found["cache, too large for memory"] = ours(folder, workers, cache)
        found["no cache, workers"] = ours(folder, workers, None)
    return found | {"torchvision, DataLoader": usual(folder, workers)}


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=2, help="of those that use some")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "images"
        write_images(folder, args.images)
        rounds = [measure(folder, args.workers) for _ in range(args.repeats)]
    rows = [["images per second", "first epoch", "second epoch", "ratio", "target"]]
    results = {}
    for name in rounds[0]:
        first, second = zip(*(each[name] for each in rounds), strict=True)
        ratio = spread(b / a for a, b in zip(first, second, strict=True))
        results[name] = {
            "first_epoch": spread(first),
            "second_epoch": spread(second),
            "second_over_first": ratio,
        }
        target = f"at least {TARGET}" if name == "cache" else ""
        speeds = [in_words(spread(each), 0) for each in (first, second)]
        rows.append([name, *speeds, in_words(ratio, 1), target])
    print_table(rows)
    settings = {"images": args.images, "workers": args.workers, "repeats": args.repeats}
    finish(args, {"settings": settings, "epochs": results})


if __name__ == "__main__":
    main()
