"""Caches that several processes want at once, and processes that die."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lightning_gen.data import encoded_base
from support.images import assert_same, batches_of, image_folder, write_noise

COUNT = 24
BUILDER = """
import signal, sys, time
from pathlib import Path
from lightning_gen.data import ImageFolder, encoded, encoded_base

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
root, log, seconds = sys.argv[1:]
encoded_base.SMALL_BYTES = 0
decode = encoded.EncodedImages.decode

def slowly(images, index):
    time.sleep(float(seconds))
    with Path(log).open("a") as file:
        file.write(images.names[index] + "\\n")
    return decode(images, index)

encoded.EncodedImages.decode = slowly
Path(log).touch()
data = ImageFolder(root, image_size=8, num_workers=0)
data.setup("fit")
print(sum(batch.images.sum().item() for batch in data.in_order("train")))
"""


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setattr(encoded_base, "SMALL_BYTES", 0)
    write_noise(tmp_path / "photos", [f"{number:02}.png" for number in range(COUNT)])
    return tmp_path / "photos"


@pytest.fixture
def start(root, tmp_path):
    """Starts a process that builds the cache and writes what it decodes to a file."""
    started = []

    def run(log="log", seconds=0.0):
        words = [sys.executable, "-c", BUILDER, root, tmp_path / log, str(seconds)]
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def wait_for(condition):
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def files_of(tmp_path):
    found = [*(tmp_path / "caches").rglob("*")]
    return sorted(path for path in found if path.is_file() and path.name != ".lock")


def test_a_killed_build_leaves_nothing_that_is_taken_for_whole(root, start, tmp_path):
    process = start(seconds=0.2)
    wait_for(lambda: len(lines(tmp_path / "log")) >= 4)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (draft,) = files_of(tmp_path)
    assert draft.name.startswith(".")
    assert_same(batches_of(image_folder(root)), batches_of(image_folder(root, cache=None)))
    (whole,) = files_of(tmp_path)
    assert not whole.name.startswith(".")
    assert whole != draft


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_build_that_is_told_to_end_leaves_nothing(root, start, tmp_path, number):
    process = start(seconds=0.2)
    wait_for(lambda: len(lines(tmp_path / "log")) >= 4)
    process.send_signal(number)
    process.wait()
    left = [path.name for path in files_of(tmp_path)]
    assert not [name for name in left if not name.startswith(".")]
    if number == signal.SIGINT:
        assert left == []


def test_of_two_processes_at_once_one_decodes(root, start, tmp_path):
    processes = [start(f"log{number}", seconds=0.05) for number in range(2)]
    sums = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sums[0] == sums[1] != b""
    decoded = [lines(tmp_path / f"log{number}") for number in range(2)]
    assert sorted(len(names) for names in decoded) == [0, COUNT]
    assert len(files_of(tmp_path)) == 1


def test_a_builder_that_dies_is_replaced_by_one_that_waits(root, start, tmp_path):
    first = start("first", seconds=5)
    wait_for(lambda: lines(tmp_path / "first"))
    second = start("second")
    waiting = b"Waiting for another process that decodes images into"
    assert any(line.startswith(waiting) for line in second.stderr)
    assert lines(tmp_path / "second") == []
    first.kill()
    assert second.wait() == 0
    assert len(lines(tmp_path / "second")) == COUNT
    (path,) = files_of(tmp_path)
    assert not path.name.startswith(".")
