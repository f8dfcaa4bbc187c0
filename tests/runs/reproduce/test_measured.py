"""The runs of a target: their words, their end, what they left, and what they measured together."""

import io
import json
import math
import subprocess
import sys
from statistics import fmean

import pytest
from scipy import stats

from lightning_gen.errors import UserError
from lightning_gen.runs.reproduce.measured import (
    HEADER,
    Finished,
    Measured,
    NotRunError,
    finished,
    measured_score,
    row,
    train_run,
)
from lightning_gen.runs.reproduce.table import Target, TargetScore, in_digits
from lightning_gen.training.directory import RunDirectory
from lightning_gen.training.environment import describe_environment
from support.refusals import assert_refused

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


def score(*metrics, published=20.0, tolerance=0.0, better="higher"):
    return TargetScore([*metrics] or "psnr", published, better, tolerance)


SEEDS = [{"seed_everything": seed} for seed in range(9)]


def card(value, error=None):
    return {"value": value, "standard_error": error}


def test_the_interval_of_one_run_is_that_of_its_images():
    found = measured_score(score(), [{"psnr": card(20.0, 0.5)}], SEEDS[:1])
    assert found == Measured("psnr", 20.0, pytest.approx(0.98), reached=True)
    assert found.in_words(20.0) == "20.00 ± 0.98"
    without = measured_score(score(), [{"psnr": card(20.0)}], SEEDS[:1])
    assert math.isnan(without.half_width)
    assert without.in_words(20.0) == "20.00"


@pytest.mark.parametrize("seeds", [1, 3])
def test_different_experiments_are_no_repeats_of_each_other(seeds):
    """Ten digits of each seed; the interval is over the seeds' means."""
    options = [{"digit": d, "seed_everything": s} for d in range(10) for s in range(seeds)]
    values = [d / 10 + s / 100 + d * s / 1000 for d in range(10) for s in range(seeds)]
    found = measured_score(score(), [{"psnr": card(value, 0.1)} for value in values], options)
    assert found.value == pytest.approx(fmean(values))
    if seeds == 1:
        assert math.isnan(found.half_width)
    else:
        means = [fmean(values[s::seeds]) for s in range(seeds)]
        low, _ = stats.t.interval(0.95, seeds - 1, fmean(means), stats.sem(means))
        assert found.value - found.half_width == pytest.approx(low)


@pytest.mark.parametrize(
    ("value", "bound", "words"),
    [
        (0.8968, 0.897, "0.8968"),
        (0.879, 0.897, "0.879"),
        (0.897, 0.897, "0.897"),
        (91, 86.76, "91.00"),
    ],
)
def test_a_missed_value_does_not_look_like_the_one_that_is_asked(value, bound, words):
    assert Measured("auroc", value, math.nan, reached=False).in_words(bound) == words
    assert in_digits(bound) == f"{bound:g}"


@pytest.mark.parametrize(("better", "best"), [("lower", "b"), ("higher", "a")])
def test_of_several_metrics_the_better_mean_counts(better, best):
    """Each is the better one in some run."""
    runs = [{"a": card(4.0), "b": card(1.0)}, {"a": card(2.0), "b": card(3.0)}]
    found = measured_score(score("a", "b", better=better), runs, SEEDS[:2])
    values = [run[best]["value"] for run in runs]
    assert (found.metric, found.value) == (best, fmean(values))
    assert found.half_width == pytest.approx(stats.t.ppf(0.975, 1) * stats.sem(values))


@pytest.mark.parametrize(
    ("better", "value", "reached"),
    [
        ("higher", 19.5, True),
        ("higher", 19.25, False),
        ("higher", 99.0, True),
        ("lower", 22.5, True),
        ("lower", 22.75, False),
        ("lower", 1.0, True),
    ],
)
def test_the_worse_end_of_a_range_and_the_tolerance_decide(better, value, reached):
    asked = score(published=(20.0, 22.0), tolerance=0.5, better=better)
    assert asked.bound == {"higher": 19.5, "lower": 22.5}[better]
    assert measured_score(asked, [{"psnr": card(value)}], SEEDS[:1]).reached is reached


@pytest.mark.parametrize("better", ["lower", "higher"])
def test_a_score_that_is_no_number_is_not_reached(better):
    assert not score(better=better).reached(math.nan)


@pytest.mark.parametrize(
    ("cards", "fault"),
    [
        ({"ssim": card(0.5)}, r"no score psnr, only .*ssim"),
        ({"psnr": card(None), "ssim": card(0.5)}, "psnr is no finite number"),
        ({}, "no score psnr, only none"),
    ],
)
def test_a_run_without_the_score_is_named(cards, fault):
    runs = [{"psnr": card(20.0), "ssim": card(0.5)}, cards]
    assert_refused(fault, measured_score, score(), runs, SEEDS[:2])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (86.764, "86.76"),
        (0.897, "0.897"),
        (0.00123, "0.00123"),
        (0.00000012, "0.000000"),
        (0, "0.00"),
        (math.nan, "nan"),
    ],
)
def test_digits(value, words):
    assert in_digits(value) == words


CPU = {
    "started": "2026-01-31T23:50:00+00:00",
    "git_commit": "0123456789abcdef",
    "processor": "Acme 3000",
    "devices": ["cpu"],
    "cpu_threads": 4,
}
GPU = CPU | {"devices": ["NVIDIA H200", "NVIDIA H200"], "git_commit": None}
GOOD = Measured("psnr", 21.0, 0.25, reached=True)


def cells(environment=CPU, runs=1, measured=GOOD, **changes):
    """The cells of a row; each run takes from its start to the later of its two cards."""
    fields = {"metrics": ["psnr", "ssim"], "published": 20.0, "tolerance": 0.5}
    score = TargetScore(**(fields | {"better": "higher", "unit": "dB"} | changes))
    target = Target("", "", "", "", "x.yaml", [score], name="tiny")
    dates = ("2026-02-01T00:20:00+00:00", "2026-02-01T00:05:00+00:00")
    cards = {name: {"date": date} for name, date in zip(score.names, dates, strict=True)}
    line = row(target, score, measured, [Finished(cards, environment)] * runs)
    assert line.startswith("| ")
    assert line.endswith(" |")
    assert "\n" not in line
    return line[2:-2].split(" | ")


def test_a_row_of_a_cpu_and_of_gpus_outside_of_a_repository():
    assert {line.count("|") - 1 for line in HEADER.splitlines()} == {len(cells())}
    assert cells() == [
        *("tiny", "psnr", "20.00", "21.00 ± 0.25 dB", "reached (19.50 asked)", "1"),
        *("Acme 3000, 4 threads", "30 min", "2026-01-31", "012345678"),
    ]
    assert cells(CPU | {"cpu_threads": 1})[6] == "Acme 3000, 1 thread"
    outside = cells(GPU, runs=3)[5:]
    assert outside == ["3", "2 x NVIDIA H200", "90 min", "2026-01-31", "unknown"]
    assert CPU.keys() <= describe_environment(0, ["cpu"], 1).keys(), "as a run has them"


@pytest.mark.parametrize(
    ("better", "verdict"), [("higher", "missed (19.50 asked)"), ("lower", "missed (22.50 asked)")]
)
def test_a_row_of_a_missed_range(better, verdict):
    missed = Measured("psnr", 3.0, float("nan"), reached=False)
    found = cells(measured=missed, published=(20.0, 22.0), better=better, unit="")
    assert found[2:5] == ["20.00 to 22.00", "3.00", verdict]
