"""A folder of woven textures with scratches, stains and missing threads, and a mask of each.

python benchmarks/defects.py FOLDER writes FOLDER/parts (train/good, test/good, test/<defect>) and
FOLDER/masks, as docs/anomalies.md uses them.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIDE = 96
DEFECTS = ("scratch", "stain", "hole")


def weave(random: np.random.Generator) -> np.ndarray:
    """A texture [H, W] of uint8: crossing threads, of any phase, nearly one period, some noise."""
    y, x = np.mgrid[:SIDE, :SIDE]
    across, along = random.uniform(0, 2 * np.pi, 2)
    period = 0.6 * random.uniform(0.95, 1.05)
    threads = 0.2 * np.sin(period * x + across) * np.sign(np.sin(period / 2 * y + along))
    grey = 0.5 + threads + 0.15 * np.sin(period * y + along) + random.uniform(-0.05, 0.05)
    noisy = grey + random.normal(0, 0.03, grey.shape)
    return (255 * noisy.clip(0, 1)).astype(np.uint8)


def spoil(image: np.ndarray, kind: str, random: np.random.Generator) -> np.ndarray:
    """Put a defect of this kind on a texture, in place; where it is, as a mask [H, W]."""
    picture = Image.new("L", (SIDE, SIDE))
    draw = ImageDraw.Draw(picture)
    x, y = random.uniform(15, SIDE - 15, 2)
    if kind == "scratch":
        angle, length = random.uniform(0, np.pi), random.uniform(12, 30)
        end = x + length * np.cos(angle), y + length * np.sin(angle)
        draw.line([x, y, *end], fill=255, width=2)
    else:
        radius = random.uniform(4, 9)
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=255)
    mask = np.asarray(picture)
    here = mask > 0
    new = {"scratch": 250, "stain": 0.35 * image[here], "hole": image[here].mean()}[kind]
    image[here] = new
    return mask


def main(folder: Path) -> None:
    """Write 600 images to train on, 80 good ones and 40 of each defect to score."""
    random = np.random.default_rng(0)
    for split, count in (("train", 600), ("test", 80)):
        for number in range(count):
            save(weave(random), folder / "parts" / split / "good" / f"{number:03}.png")
    for kind in DEFECTS:
        for number in range(40):
            image = weave(random)
            mask = spoil(image, kind, random)
            save(image, folder / "parts" / "test" / kind / f"{number:03}.png")
            save(mask, folder / "masks" / kind / f"{number:03}_mask.png")


def save(pixels: np.ndarray, path: Path) -> None:
    """Write a grey image, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
