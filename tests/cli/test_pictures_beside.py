"""The command has its pictures drawn by a process of their own."""

import os
import signal
import subprocess
import sys
import time

import pytest

from support.command import CONF, MINI_DATA, SMALL_MODEL, TWO_BATCHES, assert_whole, only_run

SEEN = ("--trainer.log_every_n_steps", "1", "--name", "run")
WORDS = (*SMALL_MODEL, *MINI_DATA, *TWO_BATCHES, *SEEN)
TENSORBOARD = ("--trainer.logger", CONF / "logger/tensorboard.yaml")

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2, reason="no core to spare"
)


def start(*words, folder):
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "lightning_gen", "fit", *map(str, words)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def shown(directory):
    """The tags and steps of the pictures that TensorBoard has."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(directory), size_guidance={"images": 0}).Reload()
    return {
        (tag, event.step, event.encoded_image_string)
        for tag in events.Tags()["images"]
        for event in events.Images(tag)
    }


def test_they_are_those_of_a_run_that_draws_itself(command, in_tmp):
    beside = in_tmp / "beside"
    beside.mkdir()
    process = start(*WORDS, *TENSORBOARD, folder=beside)
    assert command("fit", *WORDS, *TENSORBOARD).code == 0
    output, _ = process.communicate()
    assert process.returncode == 0, output
    mine, others = only_run(in_tmp / "logs"), only_run(beside / "logs")
    assert_whole(others)
    pictures = {path.relative_to(mine): path.read_bytes() for path in mine.rglob("*.png")}
    assert len({path.parent.name for path in pictures}) >= 9
    assert pictures == {p.relative_to(others): p.read_bytes() for p in others.rglob("*.png")}
    [mine], [others] = ({path.parent for path in run.rglob("events.*")} for run in (mine, others))
    assert len(shown(mine)) == len(pictures)
    assert shown(mine) == shown(others)


def test_ctrl_c_leaves_whole_pictures_and_no_process(in_tmp):
    endless = ("--trainer.max_epochs", "-1")
    process = start(*WORDS, *endless, folder=in_tmp)
    until = time.monotonic() + 120
    while not [*in_tmp.rglob("images/samples/*6.png")] and time.monotonic() < until:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it, to all of them
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGINT, output
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    assert not [path for path in in_tmp.rglob(".*") if path.is_file()]
    assert all(path.read_bytes().endswith(b"IEND\xaeB`\x82") for path in in_tmp.rglob("*.png"))
