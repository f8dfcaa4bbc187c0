import os
import pickle
import resource
import stat
import zipfile

import pytest
import torch
from PIL import Image

from lightning_gen.data import decoding
from lightning_gen.data.cache import EncodedImages
from lightning_gen.data.celeba import ZipFiles
from lightning_gen.data.decoding import FolderFiles
from lightning_gen.data.loader import BatchLoader, Split
from support.bombs import write_bomb
from support.datasets import write_images
from support.images import assert_same, image_folder
from support.permissions import permissions_bind
from support.refusals import assert_refused

MEMORY = 200 * 2**20
"""Bytes that a test may take beyond those taken before; a bomb that goes off takes gigabytes."""


@pytest.fixture
def folder(tmp_path):
    """Ten PNG files; the pixels of file i are i."""
    for number in range(10):
        Image.new("L", (8, 8), number).save(tmp_path / f"{number}.png")
    return tmp_path


def source_of(files, channels=1):
    names = files.names()
    labels = torch.arange(len(names))
    return EncodedImages(files, names, (channels, 8, 8), labels, labels[:, None] * 2)


def zipped(folder):
    path = folder / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.glob("*.png")):
            archive.write(file, f"inner/{file.name}")
        archive.writestr("../../climbs.txt", "out")
    return path


def test_batches_hold_what_the_indices_name(folder):
    source, indices = source_of(FolderFiles(folder)), torch.tensor([7, 0, 7])
    batch = source[indices]
    assert batch.images.dtype == torch.uint8
    assert batch.images.shape == (3, 1, 8, 8)
    assert batch.images[:, 0, 0, 0].tolist() == [7, 0, 7]
    assert batch.labels.tolist() == [7, 0, 7]
    assert batch.factors.tolist() == [[14], [0], [14]]
    whole, failures = source.decoded()
    assert_same([Split(source, indices)[[0, 1, 2]], whole[indices]], [batch] * 2)
    assert not any(failures)


@pytest.mark.parametrize("kind", [FolderFiles, lambda folder: ZipFiles(zipped(folder))])
def test_workers_give_the_same_batches(folder, kind):
    source = source_of(kind(folder), channels=3)
    loaders = (BatchLoader(Split.of(source), 4, seed=1, num_workers=n) for n in (0, 2))
    assert_same(*map(list, loaders))


def test_a_zip_holds_the_same_as_the_folder_and_survives_pickling(folder):
    archive = ZipFiles(zipped(folder))
    source, indices = source_of(archive), torch.arange(10)
    assert archive.names()[0] == "inner/0.png"
    expected = source_of(FolderFiles(folder))[indices]
    assert_same([source[indices]], [expected])
    assert_same([pickle.loads(pickle.dumps(source))[indices]], [expected])
    assert [file.name for file in folder.parent.glob("climbs*")] == []


def test_each_process_opens_the_zip_for_itself(folder, monkeypatch):
    archive = ZipFiles(zipped(folder))
    opened = [archive._archive(), archive._archive()]
    monkeypatch.setattr("os.getpid", lambda: -1)
    opened.append(archive._archive())
    assert opened[0] is opened[1] is not opened[2]


def test_a_damaged_member_is_left_out_with_a_warning(folder):
    path = zipped(folder)
    content = bytearray(path.read_bytes())
    start = content.index(b"IDAT", content.index(b"inner/4.png"))
    content[start + 6] ^= 0xFF
    path.write_bytes(content)
    with pytest.warns(UserWarning, match=r"1 of 10 images cannot be read: 'inner/4\.png'"):
        batch = source_of(ZipFiles(path))[torch.arange(10)]
    assert batch.labels.tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_batch_without_a_readable_image_is_an_error_of_one_line(folder, num_workers):
    for file in folder.iterdir():
        file.write_bytes(b"")
    source = source_of(FolderFiles(folder))
    loader = BatchLoader(Split.of(source), 5, num_workers=num_workers)
    assert_refused(r"^5 of 5 images cannot be read", list, loader)
    assert_refused(r"10 of 10.* and 7 more", source.__getitem__, torch.arange(10))


@pytest.fixture
def memory_stays_bounded():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert 1024 * grown < MEMORY


@pytest.mark.parametrize(
    ("side", "whole", "reason"),
    [
        (20_000, False, "DecompressionBombError"),
        (20_000, True, "DecompressionBombError"),
        (13_000, False, r"ValueError: 169,000,000 pixels are more than 90,000,000\)"),
    ],
)
@pytest.mark.filterwarnings("ignore:Image size")  # which Pillow lets pass
@pytest.mark.usefixtures("memory_stays_bounded")
def test_a_decompression_bomb_is_left_out(tmp_path, side, whole, reason):
    write_images(tmp_path, 10)
    write_bomb(tmp_path / "bomb.png", side, whole=whole)
    assert (tmp_path / "bomb.png").stat().st_size < 10_000_000
    with pytest.warns(UserWarning, match=rf"1 of 11 .* read: 'bomb\.png' \({reason}"):
        assert len(source_of(FolderFiles(tmp_path), 3)[torch.arange(11)].images) == 10


def test_large_images_are_decoded_one_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "LARGE", 10)
    at_once = []
    fit = decoding.ImageOps.fit

    def counting(*arguments):
        at_once.append(decoding._ONE_LARGE.locked())
        return fit(*arguments)

    monkeypatch.setattr(decoding.ImageOps, "fit", counting)
    write_images(tmp_path, 10)
    assert len(image_folder(tmp_path).load("train")) == 9
    assert at_once == [True] * 10
    assert not decoding._ONE_LARGE.locked()


def test_a_zip_that_climbs_out_is_read_and_not_unpacked(tmp_path):
    write_images(tmp_path / "images", 5)
    path = tmp_path / "inner" / "deep" / "archive.zip"
    path.parent.mkdir(parents=True)
    names = ["../../out.jpg", "/tmp/absolute.jpg", "a/../../../b.jpg", "..\\c.jpg", "C:\\d.jpg"]
    with zipfile.ZipFile(path, "w") as writer:
        for number, name in enumerate(names):
            writer.writestr(name, (tmp_path / "images" / f"{number:03}.jpg").read_bytes())
        link = zipfile.ZipInfo("link.jpg")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        writer.writestr(link, "/etc/passwd")
    before = sorted(tmp_path.rglob("*"))
    found = ZipFiles(path)
    assert found.names() == ["/tmp/absolute.jpg", "C:\\d.jpg", "link.jpg"]
    with pytest.warns(UserWarning, match=r"1 of 3 images cannot be read: 'link\.jpg'"):
        batch = source_of(found, 3)[torch.arange(3)]
    assert len(batch.images) == 2
    assert sorted(tmp_path.rglob("*")) == before
    assert not os.path.exists("/tmp/absolute.jpg")


@pytest.mark.usefixtures("memory_stays_bounded")
def test_a_bomb_in_an_archive_is_left_out(tmp_path):
    write_images(tmp_path / "images", 2)
    with zipfile.ZipFile(tmp_path / "archive.zip", "w", zipfile.ZIP_DEFLATED, True, 1) as archive:
        for name in ("000.jpg", "001.jpg"):
            archive.write(tmp_path / "images" / name, name)
        with archive.open("bomb.jpg", "w") as member:
            for _ in range(300):
                member.write(bytes(2**20))
    with pytest.warns(UserWarning, match=r"'bomb\.jpg' \(ValueError: 314,572,800 bytes are more"):
        batch = source_of(ZipFiles(tmp_path / "archive.zip"), 3)[torch.arange(3)]
    assert len(batch.images) == 2


def test_links_that_lead_round_and_to_nowhere(tmp_path):
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    write_images(root / "a", 5)
    write_images(elsewhere, 5)
    (root / "b").symlink_to(elsewhere)
    (root / "a" / "loop").symlink_to("..")
    (elsewhere / "loop").symlink_to(elsewhere)
    (root / "b" / "self").symlink_to("self")
    (root / "b" / "self.png").symlink_to("self.png")
    (root / "b" / "gone.png").symlink_to("nowhere.png")
    (root / "b" / "gone").symlink_to("nowhere")
    (root / "one").symlink_to("two")
    (root / "two").symlink_to("one")
    with pytest.warns(UserWarning, match=r"2 of 12 images cannot be read: 'b/gone\.png'"):
        data = image_folder(root)
    assert data.info.class_names == ("a", "b")
    assert len(data.load("train")) + len(data.load("test")) == 10


@pytest.mark.parametrize("name", ["inner", ""])
def test_a_folder_that_may_not_be_read(tmp_path, name):
    write_images(tmp_path / "root" / "inner", 10)
    (tmp_path / "root" / name).chmod(0)
    try:
        with permissions_bind():
            match = rf"'{tmp_path / 'root' / name}' cannot be listed \(Permission"
            assert_refused(match, image_folder, tmp_path / "root")
    finally:
        (tmp_path / "root" / name).chmod(0o700)
