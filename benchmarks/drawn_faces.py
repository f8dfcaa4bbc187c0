"""Draws faces in the file layout of CelebA, for machines that CelebA cannot be had on.

    python benchmarks/drawn_faces.py --root data_faces --images 5000

Each image has 178x218 pixels. Hair, glasses, smile, beard and the rest follow the attributes in
``list_attr_celeba.txt``; pose, skin, light and background vary freely. What a model reaches on them
says that it learns, and nothing about CelebA.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT = 178, 218
SCALE = 2
"""Drawn so many times larger and reduced, which makes smooth edges."""

ATTRIBUTES = [
    *("Bald", "Bangs", "Black_Hair", "Blond_Hair", "Brown_Hair", "Eyeglasses", "Gray_Hair", "Male"),
    *("Mouth_Slightly_Open", "No_Beard", "Smiling", "Wearing_Hat", "Wearing_Lipstick", "Young"),
]
HAIR = {
    "Black_Hair": (28, 24, 24),
    "Blond_Hair": (214, 178, 104),
    "Brown_Hair": (98, 62, 36),
    "Gray_Hair": (168, 168, 170),
}
SKIN = np.array([[255, 224, 196], [234, 192, 158], [198, 145, 106], [141, 92, 60], [92, 58, 40]])


def draw_attributes(random: np.random.Generator) -> dict[str, bool]:
    """Attributes as they go together: one hair colour, no beard with lipstick."""
    has = dict.fromkeys(ATTRIBUTES, False)
    has["Male"] = random.random() < 0.45
    has["Young"] = random.random() < 0.75
    colours = [*HAIR][: 4 if not has["Young"] else 3]
    has["Bald"] = has["Male"] and random.random() < 0.1
    if not has["Bald"]:
        has[random.choice(colours)] = True
        has["Bangs"] = random.random() < 0.25
    has["Eyeglasses"] = random.random() < 0.2
    has["Smiling"] = random.random() < 0.5
    has["Mouth_Slightly_Open"] = random.random() < (0.6 if has["Smiling"] else 0.2)
    has["No_Beard"] = not (has["Male"] and random.random() < 0.35)
    has["Wearing_Lipstick"] = not has["Male"] and random.random() < 0.6
    has["Wearing_Hat"] = random.random() < 0.07
    return has


class Face:
    """One face on a page ``SCALE`` times as large as its image.

    Args:
        has: which attributes it has.
        random: where all the rest comes from.
    """

    def __init__(self, has: dict[str, bool], random: np.random.Generator) -> None:
        self.has = has
        self.random = random
        self.x, self.y = random.normal((89, 116), (3, 3)).tolist()
        size = 1.05 if has["Male"] else 1.0
        self.w, self.h = (random.normal((44, 58), (2.5, 2.5)) * size).tolist()
        mix = random.random() * (len(SKIN) - 1)
        low = int(mix)
        self.skin = SKIN[low] + (SKIN[low + 1] - SKIN[low]) * (mix - low)
        colour = next((HAIR[name] for name in HAIR if has[name]), (120, 90, 70))
        self.hair = tuple(int(c) for c in np.clip(colour + random.normal(0, 8, 3), 0, 255))
        self.page = self._background()
        self.pen = ImageDraw.Draw(self.page)

    def image(self) -> Image.Image:
        """The finished image."""
        self._hair_behind()
        self._head()
        self._hair_in_front()
        self._eyes()
        self._mouth()
        small = self.page.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
        grain = self.random.normal(0, 3, (HEIGHT, WIDTH, 1))
        return Image.fromarray(np.clip(np.asarray(small) + grain, 0, 255).astype(np.uint8))

    def _background(self) -> Image.Image:
        grey = self.random.uniform(50, 205, (2, 2, 1))
        tint = self.random.normal(0, 18, (1, 1, 3))
        corners = np.clip(grey + tint, 0, 255).astype(np.uint8)
        page = Image.fromarray(corners).resize((WIDTH * SCALE, HEIGHT * SCALE), Image.BICUBIC)
        return page.filter(ImageFilter.GaussianBlur(2))

    def _shade(self, factor: float) -> tuple[int, ...]:
        return tuple(int(c) for c in np.clip(self.skin * factor, 0, 255))

    def _ellipse(self, x: float, y: float, w: float, h: float, fill: tuple[int, ...]) -> None:
        box = [(x - w) * SCALE, (y - h) * SCALE, (x + w) * SCALE, (y + h) * SCALE]
        self.pen.ellipse(box, fill=fill)

    def _arc(
        self, x: float, y: float, w: float, h: float, ends: tuple, ink: tuple, width: float
    ) -> None:
        box = [(x - w) * SCALE, (y - h) * SCALE, (x + w) * SCALE, (y + h) * SCALE]
        self.pen.arc(box, *ends, fill=ink, width=round(width * SCALE))

    def _hair_behind(self) -> None:
        if self.has["Bald"]:
            return
        self._ellipse(self.x, self.y - 14, self.w + 9, self.h * 0.95, self.hair)
        if not self.has["Male"]:
            self._ellipse(self.x, self.y + 30, self.w + 13, self.h + 12, self.hair)

    def _head(self) -> None:
        self._ellipse(self.x, self.y + 78, self.w * 0.52, 46, self._shade(0.86))
        shirt = tuple(self.random.integers(20, 235, 3).tolist())
        self._ellipse(self.x, HEIGHT + 20, 82, 46, shirt)
        for side in (-1, 1):
            self._ellipse(self.x + side * self.w, self.y + 4, 6, 12, self._shade(0.9))
        self._ellipse(self.x, self.y, self.w, self.h, self._shade(1.0))
        if not self.has["No_Beard"]:
            self._ellipse(self.x, self.y + 34, self.w * 0.8, self.h * 0.45, self.hair)
            self._ellipse(self.x, self.y + 16, self.w * 0.72, self.h * 0.35, self._shade(1.0))
        self._ellipse(self.x, self.y + 12, 6, 9, self._shade(0.88))

    def _hair_in_front(self) -> None:
        if self.has["Bald"]:
            return
        self._arc(self.x, self.y - 4, self.w + 4, self.h + 6, (190, 350), self.hair, 13)
        if self.has["Bangs"]:
            self._ellipse(self.x, self.y - self.h * 0.7, self.w * 0.8, 17, self.hair)
        if self.has["Wearing_Hat"]:
            hat = tuple(self.random.integers(20, 235, 3).tolist())
            self._ellipse(self.x, self.y - self.h * 0.95, self.w + 8, 30, hat)
            self._ellipse(self.x, self.y - self.h * 0.68, self.w + 22, 8, hat)

    def _eyes(self) -> None:
        iris = tuple(self.random.integers((30, 40, 20), (110, 120, 160)).tolist())
        look = self.random.normal(0, 1)
        for side in (-1, 1):
            x, y = self.x + side * 18, self.y - 10
            self._ellipse(x, y, 9, 5, (245, 245, 240))
            self._ellipse(x + look, y, 4.4, 4.4, iris)
            self._ellipse(x + look, y, 2, 2, (10, 10, 10))
            self._arc(x, y - 7, 12, 8, (200, 340), tuple(int(c * 0.7) for c in self.hair), 3)
            if self.has["Eyeglasses"]:
                self._arc(x, y, 14, 12, (0, 360), (20, 20, 24), 2.6)
        if self.has["Eyeglasses"]:
            self._arc(self.x, self.y - 10, 5, 4, (180, 360), (20, 20, 24), 2.6)

    def _mouth(self) -> None:
        lips = (176, 30, 48) if self.has["Wearing_Lipstick"] else self._shade(0.66)
        y = self.y + 33
        if self.has["Mouth_Slightly_Open"]:
            self._ellipse(self.x, y + 2, 15, 6.5, lips)
            self._ellipse(self.x, y + 1.5, 12, 3.2, (250, 250, 245))
        elif self.has["Smiling"]:
            self._arc(self.x, y - 9, 19, 14, (25, 155), lips, 4)
        else:
            self._arc(self.x, y + 4, 15, 4, (180, 360), lips, 4)
        if self.has["Smiling"]:
            for side in (-1, 1):
                self._arc(self.x + side * 19, y - 5, 4, 8, (40, 140), self._shade(0.8), 2)


def main() -> None:
    """Draw the images, then write the two tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", type=Path, default=Path("data_faces"))
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    folder = args.root / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True, exist_ok=True)
    rows, parts = [], []
    for number in range(args.images):
        random = np.random.default_rng((args.seed, number))
        has = draw_attributes(random)
        name = f"{number + 1:06}.jpg"
        Face(has, random).image().save(folder / "img_align_celeba" / name, quality=92)
        rows.append(" ".join([name, *("1" if has[word] else "-1" for word in ATTRIBUTES)]))
        parts.append(f"{name} {0 if number < 0.8 * args.images else 1 + number % 2}")
    table = [str(args.images), " ".join(ATTRIBUTES), *rows]
    (folder / "list_attr_celeba.txt").write_text("\n".join(table) + "\n")
    (folder / "list_eval_partition.txt").write_text("\n".join(parts) + "\n")
    print(f"{args.images} faces in {folder}")


if __name__ == "__main__":
    main()
