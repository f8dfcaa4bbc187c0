"""Tiny stand-ins for published datasets, in the layout of the real files."""

import hashlib
import pickle
import zipfile
from functools import partial

import numpy as np
import torch
from PIL import Image
from torchvision import datasets

from lightning_gen.data import CIFAR10, dsprites
from support.images import write_noise

CIFAR10_FOLDER = "cifar-10-batches-py"


class OldDtype:
    """Pickled like a dtype of the NumPy of 2009."""

    def __reduce__(self):
        return np.dtype, ("u1", 0, 1), (3, "|", None, None, None, -1, -1, 0)


class OldArray:
    """Pickled like an array of the NumPy of 2009."""

    def __init__(self, array):
        self.array = array

    def __reduce__(self):
        state = (1, self.array.shape, OldDtype(), False, self.array.tobytes())
        return np.arange(1).__reduce__()[0], (np.ndarray, (0,), b"b"), state


def md5(content):
    return hashlib.md5(content).hexdigest()


def cifar10_batches():
    """Six files of ten images each: name to (pixels [10, 3072], labels)."""
    random = np.random.default_rng(0)
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    pixels = partial(random.integers, 256, size=(10, 3072), dtype=np.uint8)
    return {name: (pixels(), random.permutation(10).tolist()) for name in names}


def cifar10_files(batches, monkeypatch):
    """What the six files and batches.meta hold; torchvision takes them for the published ones."""
    files = {
        name: pickle.dumps({"data": OldArray(pixels), "labels": labels}, protocol=2)
        for name, (pixels, labels) in batches.items()
    }
    files["batches.meta"] = pickle.dumps({"label_names": list(CIFAR10.info.class_names)})
    sums = [[name, md5(content)] for name, content in files.items()]
    monkeypatch.setattr(datasets.CIFAR10, "train_list", sums[:5])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", sums[5:6])
    meta = datasets.CIFAR10.meta | {"md5": sums[6][1]}
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
    return files


def unpack_cifar10(root, files):
    (root / CIFAR10_FOLDER).mkdir(parents=True)
    for name, content in files.items():
        (root / CIFAR10_FOLDER / name).write_bytes(content)


CELEBA_COUNT = 20
CELEBA_NAMES = [f"{number:06}.jpg" for number in range(1, CELEBA_COUNT + 1)]
CELEBA_HEADER = """
5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose
Black_Hair Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee
Gray_Hair Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard
Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair
Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young
"""
CELEBA_ATTRIBUTES = CELEBA_HEADER.split()
CELEBA_FACTORS = torch.arange(CELEBA_COUNT)[:, None] * 7 // (1 + torch.arange(40)) % 2
CELEBA_PARTITION = [0] * 14 + [1] * 4 + [2] * 2


def write_celeba_images(folder):
    """Faces of one grey each, ten levels apart, 178x218, their top and bottom 20 rows black."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(CELEBA_NAMES):
        image = Image.new("RGB", (178, 218))
        image.paste((10 + 10 * number,) * 3, (0, 20, 178, 198))
        image.save(folder / name, quality=95)


def write_celeba_zip(path, tmp_path, prefix="img_align_celeba/"):
    write_celeba_images(tmp_path / "unpacked")
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name in CELEBA_NAMES:
            archive.write(tmp_path / "unpacked" / name, prefix + name)


def write_celeba_tables(folder, ending="txt"):
    folder.mkdir(parents=True, exist_ok=True)
    signs = (2 * CELEBA_FACTORS - 1).tolist()
    between = "," if ending == "csv" else "  "
    rows = [[name, *row] for name, row in zip(CELEBA_NAMES, signs, strict=True)]
    parts = [[*row] for row in zip(CELEBA_NAMES, CELEBA_PARTITION, strict=True)]
    if ending == "csv":
        rows.insert(0, ["image_id", *CELEBA_ATTRIBUTES])
        parts.insert(0, ["image_id", "partition"])
    else:
        rows[:0] = [[CELEBA_COUNT], [*CELEBA_ATTRIBUTES, ""]]
    for name, table in (("list_attr_celeba", rows), ("list_eval_partition", parts)):
        text = "".join(between.join(map(str, row)) + "\n" for row in table)
        (folder / f"{name}.{ending}").write_text(text)


def dsprites_arrays(count, metadata):
    """The arrays of the published file, with ``count`` random images."""
    random = np.random.default_rng(0)
    sizes = (1, 3, 6, 40, 32, 32)
    classes = np.stack([random.integers(size, size=count) for size in sizes], axis=1)
    return {
        "metadata": np.array([metadata], dtype=object),
        "imgs": random.integers(2, size=(count, 64, 64), dtype=np.uint8),
        "latents_classes": classes,
        "latents_values": classes.astype(np.float64),
    }


def write_dsprites(folder, arrays):
    path = folder / dsprites.FILE
    np.savez_compressed(path, **arrays)
    return path


def write_images(folder, count=20):
    """A flat folder of noisy RGB images."""
    write_noise(folder, [f"{number:03}.jpg" for number in range(count)])
