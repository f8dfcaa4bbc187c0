"""The process of a run: its words, its end, and what is read from its folder."""

import io
import json
import subprocess
import sys

import pytest

from lightning_gen.errors import UserError
from lightning_gen.runs.reproduce.measured import NotRunError, finished, train_run
from lightning_gen.runs.reproduce.table import Target
from lightning_gen.training.directory import RunDirectory

RUNS = {"seed_everything": [3, 4], "data.train_classes": [["4"]]}
TARGET = Target("", "", "", "", "x.yaml", [], "", RUNS, "tiny")
CARD = {"value": 1.0, "date": "2026-02-01T00:20:00+00:00"}
ENVIRONMENT = {"started": "2026-01-31T23:50:00+00:00"}


def leave_run(root, scores=None, checkpoint=False, number=0):
    """A run as ``fit`` leaves it, without scores where it was cut off."""
    run = RunDirectory.claim(root, f"reproduce_tiny_{number}")
    (run.path / "environment.json").write_text(json.dumps(ENVIRONMENT))
    if scores is not None:
        (run.path / "metrics.json").write_text(json.dumps(scores))
    if checkpoint:
        run.checkpoints.mkdir()
        run.last.touch()
    return run


@pytest.fixture
def process(monkeypatch):
    """What takes the place of a training: its exit code, its words on stderr, and what it does."""

    class Process:
        code, said, work, words = 0, "", staticmethod(lambda: None), None

        def __init__(self, words, **options):
            Process.words = words
            self.stderr, self.returncode = io.StringIO(Process.said), Process.code
            Process.work()

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(subprocess, "Popen", Process)
    return Process


def test_the_words_of_a_run(process, tmp_path):
    process.work = staticmethod(lambda: leave_run(tmp_path, {"test": {"psnr": CARD}}))
    run = train_run(TARGET, 0, tmp_path, fresh=False)
    assert process.words == [
        *(sys.executable, "-P", "-m", "lightning_gen", "fit", "--config", "x.yaml"),
        *("--seed_everything=3", '--data.train_classes=["4"]'),
        *("--name", "reproduce_tiny_0", "--trainer.default_root_dir", str(tmp_path)),
    ]
    assert (run.cards, run.environment) == ({"psnr": CARD}, ENVIRONMENT)
    assert run.minutes == 30


@pytest.mark.parametrize(
    ("scores", "checkpoint", "fresh", "goes_on"),
    [
        (None, True, False, True),
        (None, False, False, False),
        ({"test": {"psnr": CARD}}, True, False, False),
        (None, True, True, False),
    ],
)
def test_only_a_run_that_was_cut_off_goes_on(scores, checkpoint, fresh, goes_on, process, tmp_path):
    run = leave_run(tmp_path, scores, checkpoint)
    leave_run(tmp_path, None, checkpoint=True, number=1)
    path = run.path / "metrics.json"
    process.work = staticmethod(lambda: path.write_text(json.dumps({"test": {"psnr": CARD}})))
    train_run(TARGET, 0, tmp_path, fresh=fresh)
    assert (process.words[-2:] == ["--ckpt_path", "last"]) is goes_on


@pytest.mark.parametrize(
    ("code", "said", "error", "match"),
    [
        (2, "warning\nlightning-gen fit: no MNIST\n\n", NotRunError, r"\Ano MNIST\Z"),
        (2, "", NotRunError, "its arguments were refused"),
        (1, "lightning-gen fit: no memory\n", UserError, r"\Areproduce_tiny_1 failed: no memory\Z"),
        (-9, "", UserError, "reproduce_tiny_1 failed: "),
        (0, "", UserError, "reproduce_tiny_1 has no scores. Let x.yaml have callbacks"),
    ],
)
def test_a_run_that_fails_says_why(code, said, error, match, process, tmp_path, capsys):
    process.code, process.said = code, said
    with pytest.raises(UserError, match=match) as caught:
        train_run(TARGET, 1, tmp_path, fresh=False)
    assert caught.type is error
    assert capsys.readouterr().err == said


def test_the_latest_run_with_scores_of_its_test_split_counts(tmp_path):
    assert finished(TARGET, 0, tmp_path) is None
    leave_run(tmp_path, {"test": {"psnr": CARD}}, number=1)
    leave_run(tmp_path)
    assert finished(TARGET, 0, tmp_path) is None
    for value in (1.0, 2.0):
        leave_run(tmp_path, {"test": {"psnr": CARD | {"value": value}}})
    leave_run(tmp_path, {"val": {"psnr": CARD | {"value": 3.0}}})
    leave_run(tmp_path)
    found = finished(TARGET, 0, tmp_path)
    assert found is not None
    assert found.cards["psnr"]["value"] == 2.0
