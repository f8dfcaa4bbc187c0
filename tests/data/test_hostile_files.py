"""Files that mean harm, and folders that lead astray."""

import os
import resource
import stat
import zipfile

import pytest
import torch

from lightning_gen.data import CelebA, ImageFolder, decoding
from lightning_gen.data.encoded import EncodedImages
from lightning_gen.data.files import FolderFiles, ZipFiles
from lightning_gen.errors import UserError
from support.bombs import write_bomb
from support.datasets import write_celeba_tables, write_celeba_zip, write_images
from support.permissions import permissions_bind

MEMORY = 200 * 2**20
"""Bytes that a test may take beyond those taken before; a bomb that goes off takes gigabytes."""


@pytest.fixture
def memory_stays_bounded():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert 1024 * grown < MEMORY


def build(root, **arguments):
    return ImageFolder(str(root), **{"image_size": 8, "num_workers": 0, **arguments})


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.usefixtures("memory_stays_bounded")
def test_a_decompression_bomb_is_left_out(tmp_path, whole):
    write_images(tmp_path, 10)
    write_bomb(tmp_path / "bomb.png", whole=whole)
    assert (tmp_path / "bomb.png").stat().st_size < 10_000_000
    expected = r"1 of 11 images cannot be read: 'bomb\.png' \(DecompressionBombError"
    with pytest.warns(UserWarning, match=expected):
        data = build(tmp_path)
    assert len(data.load_train()) == 9


@pytest.mark.filterwarnings("ignore:Image size")
@pytest.mark.usefixtures("memory_stays_bounded")
def test_a_bomb_that_pillow_lets_pass_is_left_out(tmp_path):
    write_images(tmp_path, 10)
    write_bomb(tmp_path / "bomb.png", 13_000)
    expected = r"'bomb\.png' \(ValueError: 169,000,000 pixels are more than 90,000,000\)"
    found = FolderFiles(tmp_path)
    with pytest.warns(UserWarning, match=expected):
        assert len(EncodedImages.of(found, found.names(), (3, 8, 8)).decoded()) == 10


def test_large_images_are_decoded_one_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "LARGE", 10)
    at_once = []
    fit = decoding.ImageOps.fit

    def counting(*arguments):
        at_once.append(decoding._ONE_LARGE.locked())
        return fit(*arguments)

    monkeypatch.setattr(decoding.ImageOps, "fit", counting)
    write_images(tmp_path, 10)
    assert len(build(tmp_path).load_train()) == 9
    assert at_once == [True] * 9
    assert not decoding._ONE_LARGE.locked()


@pytest.fixture
def archive(tmp_path):
    """Images in a zip archive that would climb out of a folder, were they unpacked."""
    write_images(tmp_path / "images", 6)
    path = tmp_path / "inner" / "deep" / "archive.zip"
    path.parent.mkdir(parents=True)
    names = ["../../out.jpg", "/tmp/absolute.jpg", "a/../../../b.jpg", "..\\c.jpg", "C:\\d.jpg"]
    with zipfile.ZipFile(path, "w") as writer:
        for number, name in enumerate([*names, "link.jpg"]):
            member = zipfile.ZipInfo(name)
            if name == "link.jpg":
                member.external_attr = (stat.S_IFLNK | 0o777) << 16
                writer.writestr(member, "/etc/passwd")
            else:
                writer.writestr(member, (tmp_path / "images" / f"{number:03}.jpg").read_bytes())
    return path


def everything(folder):
    return sorted(folder.rglob("*"))


def test_a_zip_that_climbs_out_is_read_and_not_unpacked(archive, tmp_path):
    before = everything(tmp_path)
    found = ZipFiles(archive)
    assert found.names() == ["/tmp/absolute.jpg", "C:\\d.jpg", "link.jpg"]
    source = EncodedImages.of(found, found.names(), (3, 8, 8))
    with pytest.warns(UserWarning, match=r"1 of 3 images cannot be read: 'link\.jpg'"):
        batch = source[torch.arange(3)]
    assert len(batch.images) == 2
    assert everything(tmp_path) == before
    assert not os.path.exists("/tmp/absolute.jpg")


@pytest.mark.parametrize("name", ["../../climbs.jpg", "/tmp/absolute.jpg"])
def test_celeba_of_such_an_archive(tmp_path, name):
    write_celeba_tables(tmp_path / "celeba")
    path = tmp_path / "celeba" / "img_align_celeba.zip"
    write_celeba_zip(path, tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, "no image")
    before = everything(tmp_path.parent)
    if name.startswith("/"):
        with pytest.raises(UserError, match=r"no row for 1 of 21 images, the first is 'absolute'"):
            CelebA(str(tmp_path), image_size=8, num_workers=0)
    else:
        data = CelebA(str(tmp_path), image_size=8, num_workers=0)
        assert len(data.load_test()) == 2
    assert everything(tmp_path.parent) == before


@pytest.mark.usefixtures("memory_stays_bounded")
def test_a_bomb_in_an_archive_is_left_out(tmp_path):
    write_images(tmp_path / "images", 2)
    with zipfile.ZipFile(tmp_path / "archive.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("000.jpg", "001.jpg"):
            archive.write(tmp_path / "images" / name, name)
        with archive.open("bomb.jpg", "w") as member:
            for _ in range(300):
                member.write(bytes(2**20))
    found = ZipFiles(tmp_path / "archive.zip")
    with pytest.warns(UserWarning, match=r"'bomb\.jpg' \(ValueError: 314,572,800 bytes are more"):
        batch = EncodedImages.of(found, found.names(), (3, 8, 8))[torch.arange(3)]
    assert len(batch.images) == 2


def test_links_that_lead_round_and_to_nowhere(tmp_path):
    root = tmp_path / "root"
    for name in "ab":
        write_images(root / name, 5)
    (root / "a" / "loop").symlink_to("..")
    (root / "b" / "self").symlink_to("self")
    (root / "b" / "self.png").symlink_to("self.png")
    (root / "b" / "gone.png").symlink_to("nowhere.png")
    (root / "b" / "gone").symlink_to("nowhere")
    (root / "one").symlink_to("two")
    (root / "two").symlink_to("one")
    with pytest.warns(UserWarning, match=r"2 of 12 images cannot be read: 'b/gone\.png'"):
        data = build(root)
    assert data.class_names == ("a", "b")
    assert len(data.load_train()) + len(data.load_test()) == 10


@pytest.mark.parametrize("name", ["inner", ""])
def test_a_folder_that_may_not_be_read(tmp_path, name):
    write_images(tmp_path / "root" / "inner", 10)
    (tmp_path / "root" / name).chmod(0)
    try:
        with permissions_bind(), pytest.raises(UserError, match="cannot be listed") as caught:
            build(tmp_path / "root")
    finally:
        (tmp_path / "root" / name).chmod(0o700)
    assert str(tmp_path / "root" / name) in str(caught.value)
    assert "Permission denied" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_may_not_be_read_is_left_out(tmp_path):
    write_images(tmp_path, 11)
    (tmp_path / "003.jpg").chmod(0)
    with permissions_bind(), pytest.warns(UserWarning, match=r"'003\.jpg' \(PermissionError"):
        data = build(tmp_path)
    assert len(data.load_train()) == 9
