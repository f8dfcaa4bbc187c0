"""Pictures drawn by another process are those that this one would draw."""

import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from lightning_gen.callbacks import artist
from lightning_gen.callbacks.artist import Artist, Here
from lightning_gen.callbacks.drawing import draw_pickled, pickled
from lightning_gen.errors import UserError
from lightning_gen.figures import chart, scatter
from lightning_gen.views import View

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the process is a fork")


def by(process=0):
    """A picture that tells which process drew it."""
    return np.full((2, 2, 3), (process or os.getpid()) % 251, dtype=np.uint8)


def refuse():
    raise UserError("two images are needed, got 1.")


def slowly(number):
    time.sleep(0.05)
    return by(number)


def patiently(number):
    time.sleep(1)
    return by(number)


def views():
    images = torch.rand(3, 1, 8, 8)
    points, labels = torch.randn(20, 2), torch.arange(20) % 2
    return [
        partial(View({"a": images, "b": images.to(torch.bfloat16)}, "images").pixels, "at step 3"),
        partial(chart, scatter, points, labels, ["x", "y"], "codes", ("z0", "z1")),
    ]


@pytest.fixture
def said():
    return []


@pytest.fixture
def other(request):
    other = Artist()
    yield other
    other._pool.shutdown(cancel_futures=True)


def read(path):
    return np.asarray(Image.open(path))


def test_the_pictures_are_the_same(other, tmp_path, said):
    for number, drawing in enumerate(views()):
        Here().draw(drawing, tmp_path / f"here{number}.png", said.append)
        other.draw(drawing, tmp_path / "new" / f"other{number}.png", said.append)
    other.finish()
    assert said == [None] * 4
    for number in range(2):
        np.testing.assert_array_equal(
            read(tmp_path / "new" / f"other{number}.png"), read(tmp_path / f"here{number}.png")
        )


def test_another_process_draws(other, tmp_path, said):
    other.draw(by, tmp_path / "a.png", said.append)
    other.finish()
    assert (read(tmp_path / "a.png") != by()).all()


def test_what_is_told_comes_from_this_process_and_in_order(other, tmp_path, monkeypatch):
    monkeypatch.setattr(artist, "MOST_WAITING", 2)
    told = []

    def tell(number, reason):
        assert (read(tmp_path / f"{number}.png") == number).all()
        told.append((number, os.getpid(), len(other._waiting)))

    for number in range(1, 6):
        other.draw(partial(slowly, number), tmp_path / f"{number}.png", partial(tell, number))
        assert len(other._waiting) <= 2
    other.finish()
    assert [number for number, *_ in told] == [1, 2, 3, 4, 5]
    assert {process for _, process, _ in told} == {os.getpid()}


@pytest.mark.parametrize("beside", [False, True])
def test_images_that_do_not_suffice_are_told(beside, tmp_path, said, request):
    draws = request.getfixturevalue("other") if beside else Here()
    draws.draw(refuse, tmp_path / "a.png", said.append)
    draws.finish()
    assert said == ["two images are needed, got 1."]
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_an_error_here(other, tmp_path, said):
    (tmp_path / "file").touch()
    other.draw(by, tmp_path / "file" / "a.png", said.append)
    with pytest.raises(OSError, match="file"):
        other.finish()
    other.draw(by, tmp_path / "b.png", said.append)
    other.finish()
    assert said == [None]


def test_what_a_killed_process_left_is_drawn_here(other, tmp_path, said):
    other.draw(partial(slowly, 7), tmp_path / "first.png", said.append)
    process = next(iter(other._pool._processes))
    os.kill(process, signal.SIGKILL)
    other.finish()
    other.draw(by, tmp_path / "second.png", said.append)
    assert said == [None, None]
    assert (read(tmp_path / "first.png") == 7).all()
    np.testing.assert_array_equal(read(tmp_path / "second.png"), by())


def test_what_takes_too_long_is_left_out(other, tmp_path, said):
    other.draw(by, tmp_path / "a.png", said.append)
    other.draw(partial(time.sleep, 60), tmp_path / "b.png", said.append)
    other.draw(by, tmp_path / "c.png", said.append)
    other._waiting[0].future.result()
    began = time.monotonic()
    with pytest.warns(UserWarning, match="2 pictures are left out, to end in time"):
        other.finish(1.0)
    assert time.monotonic() - began < 10
    assert said == [None]
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_long_wait_is_explained(other, tmp_path, said, monkeypatch, caplog):
    monkeypatch.setattr(artist, "SOON", 0.2)
    for number in range(2):
        other.draw(partial(by, number), tmp_path / "a.png", said.append)
    with caplog.at_level("INFO"):
        other.finish()
        other.draw(partial(patiently, 9), tmp_path / "b.png", said.append)
        other.finish()
    assert said == [None] * 3
    assert caplog.messages[-1] == "Waiting for pictures that are still being drawn: 1."


def test_what_cannot_be_pickled_is_drawn_here(other, tmp_path, said):
    other.draw(lambda: by(), tmp_path / "a.png", said.append)
    assert said == [None]
    np.testing.assert_array_equal(read(tmp_path / "a.png"), by())


def test_a_pickled_drawing_holds_arrays(tmp_path):
    [images, _] = views()
    assert b"torch._utils" not in pickled(images)
    assert draw_pickled(pickled(images), tmp_path / "a.png") is None


def test_a_fork_of_this_process_draws_for_itself(other, tmp_path):
    if (process := os.fork()) == 0:
        other.draw(by, tmp_path / "a.png", lambda nothing: os._exit(3 if nothing is None else 1))
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 3
    assert (read(tmp_path / "a.png") == by(process)).all()


def test_signals_to_all_processes_leave_it_drawing(other, tmp_path, said):
    other.draw(by, tmp_path / "a.png", said.append)
    other.finish()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP):
        os.kill(next(iter(other._pool._processes)), number)
    other.draw(by, tmp_path / "b.png", said.append)
    other.finish()
    assert (read(tmp_path / "b.png") == read(tmp_path / "a.png")).all()
    assert (read(tmp_path / "b.png") != by()).all()


def test_it_ends_with_a_process_that_is_killed():
    code = (
        "import os, signal\n"
        "from lightning_gen.callbacks.artist import Artist\n"
        "artist = Artist()\n"
        "print(*artist._pool._processes, flush=True)\n"
        "artist._pool.submit(os.getpid).result()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    process = int(killed.stdout)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("the process that draws lives on")


@pytest.mark.parametrize("refused", [BlockingIOError, NotImplementedError, ImportError])
def test_without_another_process_this_one_draws(refused, monkeypatch):
    def refuse_to_fork(*_, **__):
        raise refused

    monkeypatch.setattr(artist, "current", Here())
    monkeypatch.setattr(os, "fork", refuse_to_fork)
    artist.hire()
    assert isinstance(artist.current, Here)


def test_one_core_draws_for_itself(monkeypatch):
    monkeypatch.setattr(artist, "current", Here())
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    artist.hire()
    assert isinstance(artist.current, Here)
