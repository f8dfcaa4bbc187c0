import errno
import logging
import os
import shutil
import signal
import time
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from warnings import catch_warnings

import pytest
import torch

from lightning_gen.data import CelebA, cache
from lightning_gen.data.cache import CachedImages, EncodedImages, cache_folder
from lightning_gen.data.decoding import FolderFiles
from lightning_gen.data.loader import TensorSource
from support.datasets import write_celeba_tables, write_celeba_zip
from support.images import assert_same, batches_of, image_folder, write_noise
from support.permissions import permissions_bind
from support.refusals import assert_refused

NAMES = [f"{kind}/{number:02}.png" for kind in ("cat", "dog") for number in range(20)]
IN_MEMORY, SMALL = (f"lightning_gen.data.image_folder.{n}_BYTES" for n in ("IN_MEMORY", "SMALL"))


@pytest.fixture(autouse=True)
def decodes(monkeypatch, tmp_path):
    """The names that were decoded; no dataset is too small for a cache."""
    monkeypatch.setattr(SMALL, 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    names = []
    decode = EncodedImages.decode

    def counted(images, index):
        names.append(images.names[index])
        return decode(images, index)

    monkeypatch.setattr(EncodedImages, "decode", counted)
    return names


@pytest.fixture
def root(tmp_path):
    write_noise(tmp_path / "photos", NAMES)
    return tmp_path / "photos"


@pytest.fixture
def mapped(monkeypatch):
    monkeypatch.setattr(IN_MEMORY, 0)


def files_of(tmp_path):
    """All files below the folder of caches, but for the locks."""
    found = (tmp_path / "caches").rglob("*")
    return sorted(path for path in found if path.is_file() and path.name != ".lock")


def only_file(tmp_path):
    [path] = files_of(tmp_path)
    return path


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("memory", [0, 2**30])
def test_batches_are_those_of_decoding(root, monkeypatch, channels, memory):
    monkeypatch.setattr(IN_MEMORY, memory)
    monkeypatch.setattr(cache, "PART", 7)
    expected = batches_of(image_folder(root, channels=channels, cache=None))
    for _ in range(2):
        data = image_folder(root, channels=channels)
        assert_same(batches_of(data), expected)
        assert isinstance(data.load("train").source, TensorSource if memory else CachedImages)


def test_images_are_decoded_once(root, tmp_path, decodes, caplog):
    batches_of(image_folder(root))
    assert sorted(decodes) == NAMES
    batches_of(image_folder(root, test_fraction=0.5, val_fraction=0.2))
    assert len(decodes) == len(NAMES)
    path = only_file(tmp_path)
    found, first, _, second = (record.getMessage() for record in caplog.records)
    assert found.endswith(f"decoded once, into {tmp_path / 'caches' / 'lightning_gen'}.")
    assert first == (f"40 images were decoded into {path} (0 MB); later runs read them from there.")
    assert second == f"Decoded images are read from {path} (0 MB)."


@pytest.mark.usefixtures("mapped")
def test_a_zip_archive(tmp_path, decodes):
    write_celeba_tables(tmp_path)
    write_celeba_zip(tmp_path / "img_align_celeba.zip", tmp_path)
    arguments = {"root": str(tmp_path), "image_size": 16, "num_workers": 0}
    expected = batches_of(CelebA(**arguments, cache=None))
    decodes.clear()
    for _ in range(2):
        assert_same(batches_of(CelebA(**arguments)), expected)
    assert len(decodes) == 20
    (tmp_path / "img_align_celeba.zip").touch()
    assert_same(batches_of(CelebA(**arguments)), expected)
    assert len(decodes) == 40
    assert only_file(tmp_path).parent.name.startswith("img_align_celeba.zip-")


def change(path):
    write_noise(path.parent, ["other.png"])
    (path.parent / "other.png").rename(path)


CHANGES = {
    "content": change,
    "time": Path.touch,
    "one more": lambda path: write_noise(path.parent, ["new.png"]),
    "one less": Path.unlink,
    "name": lambda path: path.rename(path.with_name("renamed.png")),
}


@pytest.mark.parametrize("what", CHANGES)
def test_changed_files_are_decoded_anew_and_the_old_cache_goes(
    root, tmp_path, decodes, caplog, what
):
    batches_of(image_folder(root))
    before = only_file(tmp_path)
    CHANGES[what](root / NAMES[3])
    decodes.clear()
    found = batches_of(image_folder(root))
    assert len(decodes) == len(FolderFiles(root).names())
    assert "MB), since the files have changed; later runs" in caplog.text
    assert only_file(tmp_path) != before
    assert_same(found, batches_of(image_folder(root, cache=None)))


def test_other_sizes_other_folders_and_other_versions_have_their_own(
    root, tmp_path, monkeypatch, decodes
):
    shutil.copytree(root, tmp_path / "elsewhere" / "photos")
    for count in (1, 2):
        batches_of(image_folder(root))
        batches_of(image_folder(root, channels=1))
        batches_of(image_folder(root, image_size=(8, 12)))
        batches_of(image_folder(tmp_path / "elsewhere" / "photos"))
        with monkeypatch.context() as patch:
            patch.setattr(cache, "DECODER", "0-of_old")
            batches_of(image_folder(root))
        assert len(files_of(tmp_path)) == 5, count
    assert len(decodes) == 5 * len(NAMES)


@pytest.mark.parametrize("size", [0, 10, 100, -1, None])
def test_what_is_no_whole_cache_is_replaced(root, tmp_path, decodes, size):
    expected = batches_of(image_folder(root))
    path = only_file(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:size])
    if size is None:
        flip(path, 40 * 3 * 64 + 20)  # in a checksum
    decodes.clear()
    assert_same(batches_of(image_folder(root)), expected)
    assert path.read_bytes() == content
    assert len(decodes) == len(NAMES)


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("memory", [0, 2**30])
@pytest.mark.parametrize("count", [1, 40])
def test_damage_is_told_once_and_decoded_anew(root, tmp_path, monkeypatch, decodes, memory, count):
    monkeypatch.setattr(IN_MEMORY, memory)
    expected = batches_of(image_folder(root), epochs=1)
    path = only_file(tmp_path)
    whole = path.read_bytes()
    for row in range(count):
        flip(path, row * 3 * 64 + 7)
    decodes.clear()
    damage = rf"{path.name} has damaged images: it is removed"
    with pytest.warns(UserWarning, match=damage) as caught:
        found = batches_of(image_folder(root), epochs=1)
    assert len(caught) == 1
    assert_same(found, expected)
    assert sorted(decodes) == NAMES[:count]
    assert_same(batches_of(image_folder(root), epochs=1), expected)
    assert path.read_bytes() == whole


def test_damage_to_an_image_whose_file_is_broken_since(root, tmp_path):
    batches_of(image_folder(root))
    flip(only_file(tmp_path), 5 * 3 * 64 + 7)
    status = (root / NAMES[5]).stat()
    content = (root / NAMES[5]).read_bytes()
    (root / NAMES[5]).write_bytes(content[:60].ljust(len(content)))
    os.utime(root / NAMES[5], ns=(status.st_atime_ns, status.st_mtime_ns))
    with (
        pytest.warns(UserWarning, match="has damaged"),
        pytest.warns(UserWarning, match=rf"1 of \d+ images cannot be read: '{NAMES[5]}'"),
    ):
        batches = batches_of(image_folder(root), epochs=1)
    assert sum(len(batch.images) for batch in batches) == 39


@pytest.fixture
def broken(root):
    content = (root / NAMES[7]).read_bytes()
    (root / NAMES[7]).write_bytes(content[: len(content) // 2])
    return root


UNREADABLE = rf"1 of \d+ images cannot be read: '{NAMES[7]}' \(OSError: .*; they are left out\."


@pytest.mark.parametrize("memory", [0, 2**30])
def test_unreadable_images_are_left_out_and_not_tried_again(broken, monkeypatch, decodes, memory):
    with pytest.warns(UserWarning, match=UNREADABLE):
        expected = batches_of(image_folder(broken, cache=None))
    monkeypatch.setattr(IN_MEMORY, memory)
    decodes.clear()
    for _ in range(2):
        with pytest.warns(UserWarning, match=UNREADABLE):
            assert_same(batches_of(image_folder(broken)), expected)
    assert len(decodes) == len(NAMES)


@pytest.mark.usefixtures("mapped")
def test_an_accelerator_holds_the_same_images(broken, tmp_path):
    with pytest.warns(UserWarning, match=UNREADABLE):
        split = image_folder(broken).load("train")
    source = split.source
    moved = source.to(torch.device("cpu"))
    assert_same([moved[split.indices]], [source[split.indices]])
    flip(only_file(tmp_path), 7)
    (broken / source.names[0]).write_bytes(b"")
    source.verified.clear()
    refused = rf"1 of 40 images cannot be read: '{source.names[0]}'.*Start again"
    with pytest.warns(UserWarning, match="has damaged"):
        assert_refused(refused, source.to, torch.device("cpu"))


@pytest.mark.parametrize("error", [PermissionError(errno.EACCES, "denied"), MemoryError()])
def test_what_the_machine_could_not_read_is_tried_again(root, monkeypatch, error):
    expected = batches_of(image_folder(root, cache=None))
    opened = FolderFiles.open

    def refuse(files, name):
        if name == NAMES[7]:
            raise error
        return opened(files, name)

    def look(root):
        with monkeypatch.context() as patch:
            data = image_folder(root)
            patch.setattr(FolderFiles, "open", refuse)
            with pytest.warns(UserWarning, match=f"1 of .*'{NAMES[7]}' .{type(error).__name__}"):
                return batches_of(data)

    assert_same(look(root), look(root))
    assert_same(batches_of(image_folder(root)), expected)


@pytest.mark.parametrize(
    ("owner", "function", "result", "reason"),
    [
        (shutil, "disk_usage", SimpleNamespace(free=2**30), "they take 0 MB, and 1074 MB are free"),
        (cache, "Lock", OSError(errno.ENOSPC, "No space left"), "No space left"),  # to write one
        (os, "fsync", OSError(errno.EDQUOT, "Quota exceeded"), "Quota exceeded"),  # at the end
    ],
)
def test_a_full_disk_is_a_warning(root, tmp_path, monkeypatch, owner, function, result, reason):
    expected = batches_of(image_folder(root, cache=None))

    def answer(*_):
        if isinstance(result, OSError):
            raise result
        return result

    monkeypatch.setattr(owner, function, answer)
    with pytest.warns(UserWarning, match=rf"not kept in .*lightning_gen \({reason}") as caught:
        assert_same(batches_of(image_folder(root)), expected)
    [said] = [str(warning.message) for warning in caught]
    assert "Set data.cache to a folder" in said
    assert "\n" not in said
    assert files_of(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_a_warning(root, tmp_path):
    expected = batches_of(image_folder(root, cache=None))
    (tmp_path / "closed").mkdir(mode=0o500)
    (tmp_path / "file").touch()
    for place, reason in (("closed", "Permission denied"), ("file", "Not a directory")):
        with permissions_bind(), pytest.warns(UserWarning, match=rf"\({reason}\), and are decoded"):
            assert_same(batches_of(image_folder(root, cache=str(tmp_path / place))), expected)


def test_a_cache_may_be_read_where_it_cannot_be_written(root, tmp_path, decodes):
    expected = batches_of(image_folder(root))
    decodes.clear()
    only_file(tmp_path).parent.chmod(0o500)
    with permissions_bind():
        assert_same(batches_of(image_folder(root)), expected)
    only_file(tmp_path).parent.chmod(0o700)
    assert decodes == []


@pytest.mark.usefixtures("mapped")
def test_a_cache_may_be_deleted_while_it_is_read(root, tmp_path):
    expected = batches_of(image_folder(root, cache=None))
    data = image_folder(root)
    data.setup("fit")
    shutil.rmtree(tmp_path / "caches")
    assert_same(batches_of(data), expected)
    assert_same(batches_of(image_folder(root)), expected)


def test_few_images_need_no_cache(root, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(SMALL, 40 * 3 * 64 + 1)
    batches_of(image_folder(root))
    assert "held in memory" in caplog.text
    assert files_of(tmp_path) == []
    monkeypatch.setattr(SMALL, 40 * 3 * 64)
    batches_of(image_folder(root))
    assert len(files_of(tmp_path)) == 1


def test_where_caches_are(root, tmp_path, monkeypatch):
    assert cache_folder("auto") == tmp_path / "caches" / "lightning_gen"
    batches_of(image_folder(root, cache=None))
    assert files_of(tmp_path) == []
    batches_of(image_folder(root, cache=str(tmp_path / "mine")))
    assert files_of(tmp_path) == []
    assert len([*(tmp_path / "mine").glob("photos-*/*.pixels")]) == 1
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder("~/mine") == tmp_path / "home" / "mine"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder("auto") == tmp_path / "home" / ".cache" / "lightning_gen"
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # a user whom nobody knows
    assert cache_folder("auto") is None
    assert_refused(r"data\.cache '~/mine'", cache_folder, "~/mine")


def test_odd_names(tmp_path, decodes):
    root = tmp_path / "..a b'\n日本\udcff"
    write_noise(root, [f"{number}\udcff\n.png" for number in range(12)])
    for _ in range(2):
        batches_of(image_folder(root))
    assert len(decodes) == 12
    assert only_file(tmp_path).parent.name.startswith("a_b_-")


def build(root, log, hold):
    """In a process: write what it decodes and says to files; ``hold`` stops it after a few."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    logging.getLogger("lightning.pytorch").addHandler(logging.FileHandler(f"{log}.said"))
    decode = EncodedImages.decode

    def slowly(images, index):
        with log.open("a") as file:
            file.write(images.names[index] + "\n")
        time.sleep(0.02)
        while index >= 4 and hold.exists():
            time.sleep(0.01)
        return decode(images, index)

    EncodedImages.decode = slowly
    image_folder(root).setup("fit")


@pytest.fixture
def hold(tmp_path):
    (tmp_path / "hold").touch()
    return tmp_path / "hold"


@pytest.fixture
def start(root, tmp_path, hold):
    """Starts a process that builds the cache: a fork of this one, which has imported all."""
    started = []

    def run(log):
        started.append(get_context("fork").Process(target=build, args=(root, tmp_path / log, hold)))
        with catch_warnings(action="ignore", category=DeprecationWarning):  # of threads beside it
            started[-1].start()
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.join()


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def wait_for(condition):
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_build_that_is_ended_leaves_nothing_that_is_taken_for_whole(
    root, start, hold, tmp_path, number
):
    process = start("log")
    wait_for(lambda: len(lines(tmp_path / "log")) >= 5)
    os.kill(process.pid, number)
    hold.unlink()
    process.join()
    left = [path.name for path in files_of(tmp_path)]
    assert not [name for name in left if not name.startswith(".")]
    assert len(left) == (number != signal.SIGINT)
    assert_same(batches_of(image_folder(root)), batches_of(image_folder(root, cache=None)))
    assert not only_file(tmp_path).name.startswith(".")


@pytest.mark.parametrize("dies", [False, True])
def test_of_two_processes_at_once_one_decodes_and_the_other_waits(start, hold, tmp_path, dies):
    first = start("first")
    wait_for(lambda: [*(tmp_path / "caches").rglob(".*.pixels")])
    second = start("second")
    waiting = "Waiting for another process that decodes images into"
    wait_for(lambda: any(line.startswith(waiting) for line in lines(tmp_path / "second.said")))
    if dies:
        first.kill()
        first.join()
    hold.unlink()
    second.join()
    assert second.exitcode == 0
    assert len(lines(tmp_path / "second")) == (len(NAMES) if dies else 0)
    assert not only_file(tmp_path).name.startswith(".")
