import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from lightning_gen.contracts import condition_on
from lightning_gen.runs.coding import decode, encode, read_codes, reconstruct
from lightning_gen.runs.finished import FinishedRun
from lightning_gen.runs.inputs import NamedBatch
from lightning_gen.runs.outputs import open_picture
from support.arrays import arrays_of
from support.bombs import Evil
from support.finished import run_of
from support.kinds import KINDS, WITH_ENCODER
from support.models import batch_of
from support.refusals import assert_refused


class Few:
    """Seventy random images, in batches of 32."""

    class_names = tuple("abcdefghij")
    factor_names = ()

    def __len__(self):
        return 70

    def __init__(self):
        self.batch = batch_of(torch.rand(70, 1, 28, 28))

    def shown(self, task, limit=None):
        names = [f"{number}.png" for number in range(70)][:limit]
        for start in range(0, len(names), 32):
            part = slice(start, min(start + 32, len(names)))
            yield NamedBatch(type(self.batch)(*(t[part] for t in self.batch)), names[part])


@pytest.mark.parametrize("kind", WITH_ENCODER)
def test_codes_are_decoded_to_the_same_images_from_either_file(kind, tmp_path):
    run, inputs = run_of(KINDS[kind]()), Few()
    encode(run, inputs, tmp_path / "codes.npz")
    encode(run, inputs, tmp_path / "codes.csv")
    kept = arrays_of(tmp_path / "codes.npz")
    expected = condition_on(run.model, inputs.batch).encode(inputs.batch.images)
    np.testing.assert_allclose(kept["codes"], expected, rtol=1e-5, atol=1e-6)
    assert kept["labels"].tolist() == inputs.batch.labels.tolist()
    assert kept["names"].tolist() == [f"{number}.png" for number in range(70)]
    assert kept["class_names"].tolist() == list(inputs.class_names)
    decode(run, tmp_path / "codes.npz", tmp_path / "a.npz", batch_size=32)
    decode(run, tmp_path / "codes.csv", tmp_path / "b.npz", batch_size=9)
    again = arrays_of(reconstruct(run, inputs, tmp_path / "c.npz"))
    for name in ("names", "labels", "class_names"):
        assert again[name].tolist() == kept[name].tolist()
    first, second, whole = (arrays_of(tmp_path / f"{name}.npz")["images"] for name in "abc")
    assert first.shape == (70, 1, 28, 28)
    for other in (second, whole):
        assert np.abs(first.astype(int) - other).max() <= 1


def test_reconstructions_as_large_as_their_files(finished, command, tmp_path):
    """Upright, cropped as the model sees them; made small again they are the reconstructions."""
    pictures = tmp_path / "all" / "pictures"
    pictures.mkdir(parents=True)
    grey = np.random.default_rng(0).integers(0, 255, (7, 9), np.uint8)
    image = Image.fromarray(grey).resize((140, 112), Image.Resampling.BICUBIC)
    image.save(pictures / "wide.png")
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    image.resize((90, 60)).save(pictures / "turned.jpg", exif=turned)
    ask = ("reconstruct", finished, "--images", pictures, "--own_size", "true", "--out")
    command(*ask, tmp_path / "out").done()
    found = {path.stem: open_picture(path) for path in (tmp_path / "out").iterdir()}
    sizes = {name: each.size for name, each in found.items()}
    assert sizes == {"wide": (112, 112), "turned": (60, 60)}
    run = FinishedRun.open(finished)
    expected = run.model.reconstruct(run.read(pictures / "wide.png"))[0, 0]
    small = np.asarray(found["wide"].resize((28, 28), Image.Resampling.BOX))[..., 0] / 255
    np.testing.assert_allclose(small, expected.numpy(), atol=0.1)
    command(*ask, tmp_path / "out.png").refused("own_size is of files that go into a folder")
    before = (pictures / "wide.png").read_bytes()
    for place in (pictures, pictures.parent):
        command(*ask, place).refused("holds the images of --images, and files there would be lost")
    assert (pictures / "wide.png").read_bytes() == before


def test_columns_of_a_table_are_found_by_their_names(tmp_path):
    (tmp_path / "a.csv").write_text("z2,name,z0,z1\n3,a,1,2\n6,b,4,5\n")
    assert read_codes(tmp_path / "a.csv").tolist() == [[1, 2, 3], [4, 5, 6]]


def test_a_page_has_64_images_unless_told_otherwise(tmp_path):
    run, seen = run_of(KINDS["AE"]()), []
    run.model.encoder.register_forward_hook(lambda *arguments: seen.append(len(arguments[2])))
    reconstruct(run, Few(), tmp_path / "a.png")
    reconstruct(run, Few(), tmp_path / "b.png", num_images=3)
    reconstruct(run, Few(), tmp_path / "folder")
    assert seen == [32, 32, 3, 32, 32, 6]
    assert len(list((tmp_path / "folder").iterdir())) == 70


def test_a_page_of_codes_reads_no_more_than_it_shows(tmp_path):
    run, seen = run_of(KINDS["AE"]()), []
    encode(run, Few(), tmp_path / "codes.npz")
    run.model.decoder.register_forward_hook(lambda *arguments: seen.append(len(arguments[2])))
    decode(run, tmp_path / "codes.npz", tmp_path / "a.png")
    assert sum(seen) == 64


@pytest.mark.parametrize("ending", ["npz", "csv"])
def test_codes_of_another_length_are_refused(ending, tmp_path):
    encode(run_of(KINDS["AE"](latent_dim=3)), Few(), tmp_path / f"codes.{ending}")
    run = run_of(KINDS["AE"]())
    words = f"codes.{ending} holds codes of 3 numbers, and own takes another length"
    assert_refused(words, decode, run, tmp_path / f"codes.{ending}", tmp_path / "a.npz")
    assert not (tmp_path / "a.npz").exists()


def test_memory_that_runs_out_is_not_taken_for_codes_of_another_length(tmp_path, monkeypatch):
    run = run_of(KINDS["AE"]())
    encode(run, Few(), tmp_path / "codes.npz")

    def full(codes):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(run.model, "decode", full)
    with pytest.raises(torch.OutOfMemoryError):
        decode(run, tmp_path / "codes.npz", tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected columns z0, z1, ... once each, got none"),
        ("name,label\na,1\n", "expected columns z0, z1, ... once each, got name, label"),
        ("z0,z2\n1,2\n", "once each, got z0, z2"),
        ("z0,z0\n1,2\n", "once each, got z0, z0"),
        ("z0,z1\n", "holds no codes"),
        ("z0,z1\n1,2\n3,nan\n", "the code in row 1 .* is NaN or infinite"),
        ("z0\n1e300\n", "the code in row 0"),
        ("z0,z1\n1,2\n3,x\n", "up to line 3: expected numbers"),
        ("z0,z1\n1,2\n3\n", "up to line 3: expected numbers"),
    ],
)
def test_a_table_without_codes_is_refused(text, words, tmp_path):
    (tmp_path / "a.csv").write_text(text)
    assert_refused(words, read_codes, tmp_path / "a.csv")


@pytest.mark.parametrize("name", ["none.npz", "none.csv", "there.txt"])
def test_what_is_no_file_of_codes_is_refused(name, tmp_path):
    (tmp_path / "there.txt").write_text("z0\n1\n")
    assert_refused(r"expected an \.npz or \.csv of codes", read_codes, tmp_path / name)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "int64", ">f4"])
def test_arrays_of_any_numbers_are_read(save, dtype, tmp_path):
    array = np.arange(12).reshape(4, 3).astype(dtype)
    save(tmp_path / "a.npz", codes=array, names=np.array(list("abcd")))
    assert read_codes(tmp_path / "a.npz").tolist() == array.tolist()


def refused(path):
    assert_refused(rf"{path}.* is no \.npz with an array 'codes' of numbers", read_codes, path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_broken_file_is_refused(save, tmp_path):
    path = tmp_path / "codes.npz"
    save(path, codes=np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32))
    content = path.read_bytes()
    changed = content[:170] + b"\xff" * 20 + content[190:]
    for broken in (b"", content[:30], content[:200], content[:-30], changed):
        path.write_bytes(broken)
        refused(path)


def test_an_archive_that_claims_gigabytes_is_not_unpacked(tmp_path):
    np.savez_compressed(tmp_path / "bomb.npz", codes=np.zeros((2**16, 8), np.float32))
    content = bytearray((tmp_path / "bomb.npz").read_bytes())
    at = content.index(b"PK\x01\x02") + 24  # the size in the archive's directory
    content[at : at + 4] = (2**31 - 1).to_bytes(4, "little")
    (tmp_path / "bomb.npz").write_bytes(content)
    assert_refused(r"of numbers \(it claims 2\.1 GB in", read_codes, tmp_path / "bomb.npz")


def header_of(shape, dtype="'<f4'"):
    text = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize(
    "content",
    [
        header_of("(1, 2)", "'|O'") + pickle.dumps(Evil("exploded")),
        header_of("(1, 10_000_000_000)"),
        header_of("(100_000_000_000, 2)"),
        header_of("(2, -2)"),
        header_of("(" * 5000),
        header_of("(1, 2)", "[('a', '|O')]"),
        b"\x93NUMPY\x09\x09",
    ],
)
def test_an_array_of_a_stranger_is_refused(content, in_tmp):
    with zipfile.ZipFile("codes.npz", "w") as archive:
        archive.writestr("codes.npy", content)
    refused(Path("codes.npz"))
    assert not Path("exploded").exists()


@pytest.mark.parametrize(
    "array",
    [
        np.array(["a", "b"]),
        np.array([object()]),
        np.float32(3),
        np.zeros(3, dtype=bool),
        np.zeros((0, 2)),
    ],
    ids=["names", "objects", "one number", "bool", "nothing"],
)
def test_what_are_no_rows_of_numbers_is_refused(array, tmp_path):
    np.savez(tmp_path / "a.npz", codes=array, others=np.zeros((3, 2)))
    refused(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", others=np.zeros((3, 2)))
    refused(tmp_path / "a.npz")
