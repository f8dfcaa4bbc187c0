"""The verb reproduce, from its words to its exit code."""

import io
import json
import shutil
import subprocess
from contextlib import nullcontext, redirect_stdout
from statistics import fmean
from types import SimpleNamespace

import pytest
import yaml

from lightning_gen.cli import reproduce as verb
from lightning_gen.runs.reproduce.measured import HEADER, NotRunError
from lightning_gen.runs.reproduce.table import in_digits

pytestmark = pytest.mark.xdist_group("reproduce")  # one set-up for all

TINY = """
model:
  class_path: VAE
  init_args: {latent_dim: 2, architecture: {class_path: Dense, init_args: {widths: [16]}}}
data: {class_path: MiniFashionMNIST, init_args: {batch_size: 50}}
trainer: {accelerator: cpu, devices: 1, max_epochs: 1, limit_train_batches: 2, limit_val_batches: 1,
  limit_test_batches: 1, log_every_n_steps: 1, enable_progress_bar: false,
  callbacks: ReconstructionQuality}
default_pictures: false
"""
PSNR = {"metrics": "psnr", "published": 1.0, "better": "higher", "unit": "dB"}
TARGET = {
    "source": "A & B 2020, table 1",
    "setting": "all of it",
    "tier": "minutes on a CPU",
    "needs": "nothing",
    "config": "tiny.yaml",
    "scores": [PSNR],
    "runs": {"seed_everything": [0, 1]},
}
NAMES = ("reproduce_tiny_0", "reproduce_tiny_1")
ONCE = {name: ["version_0"] for name in NAMES}


def write_table(folder, **changes):
    """A table with the target ``tiny``, and its experiment."""
    (folder / "tiny.yaml").write_text(TINY)
    table = {"tiny": TARGET | changes, "other": TARGET | {"tier": "hours on a GPU"}}
    path = folder / "table.yaml"
    path.write_text(yaml.safe_dump(table, sort_keys=False))
    return path


def versions(root):
    return {name: sorted(path.name for path in (root / name).iterdir()) for name in NAMES}


def psnr(run):
    return json.loads((run / "metrics.json").read_text())["test"]["psnr"]["value"]


def table_rows(answer):
    """The cells of each row below the head."""
    lines = answer.out.partition(f"\n{HEADER}\n")[2].rstrip().splitlines()
    return [line.strip("| ").split(" | ") for line in lines]


@pytest.fixture(scope="module")
def trained(main, train, tmp_path_factory):
    """A folder where ``tiny`` was reproduced, and what was said; to be read only.

    The trainings ran in this process: to import everything anew took nearly all of their time.
    """

    def start(words, **options):
        if "fit" not in words:
            return process(words, **options)
        code = main(words[words.index("fit") :])
        return nullcontext(SimpleNamespace(stderr=[], returncode=code))

    process = subprocess.Popen
    root, out = tmp_path_factory.mktemp("reproduce"), io.StringIO()
    write_table(root)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out):
        patch.setattr(subprocess, "Popen", start)
        train(root, ["reproduce", "tiny", "--table", "table.yaml"])
    return root, out.getvalue()


@pytest.fixture
def logs(trained, in_tmp):
    """A copy of its runs that may be changed, in ``tmp_path``."""
    return shutil.copytree(trained[0] / "logs", in_tmp / "logs")


@pytest.fixture
def idle(monkeypatch):
    """No process may be started."""

    def start(*words, **options):
        raise AssertionError(f"started {words}")

    monkeypatch.setattr(subprocess, "Popen", start)


def test_two_trainings(trained):
    root, said = trained
    values = [psnr(root / "logs" / name / "version_0") for name in NAMES]
    assert values[0] != values[1], "each run has the seed that the table gives it"
    assert versions(root / "logs") == ONCE
    first = said.splitlines()[0]
    measured = f"{in_digits(fmean(values))} ± "
    assert first.startswith(f"tiny  psnr: published 1.00, measured {measured}")
    assert first.endswith(" dB: reached")


@pytest.mark.slow
def test_a_training_in_a_process_of_its_own(command, in_tmp):
    write_table(in_tmp, runs={"seed_everything": [0]})
    answer = command("reproduce", "tiny", "--table", "table.yaml")
    assert answer.code == 0, answer.err
    assert answer.out.startswith("tiny  psnr: published 1.00, measured ")
    assert "Test loss" in answer.err, "the output of the training is shown"


@pytest.mark.parametrize(
    ("changes", "sign", "code"),
    [
        ({"published": 1000}, "missed", 1),
        ({"published": [1, 1000]}, "reached", 0),
        ({"published": 1, "better": "lower"}, "missed", 1),
    ],
)
def test_finished_runs_are_taken_as_they_are(changes, sign, code, command, trained, tmp_path, idle):
    root, _ = trained
    table = write_table(tmp_path, scores=[PSNR | changes])
    words = ("--table", table, "--trainer.default_root_dir", root / "logs")
    answer = command("reproduce", "tiny", *words)
    assert answer.code == code
    assert answer.out.splitlines()[0].endswith(f" dB: {sign}")
    assert versions(root / "logs") == ONCE
    (cells,) = table_rows(answer)
    assert cells[4].partition(" ")[0] == sign
    if code:
        assert answer.line == "lightning-gen reproduce: 1 of 1 not reached: tiny missed"
    else:
        assert answer.err == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "pass a target, or --list"),
        (("tiny", "--nope"), "unrecognized arguments: --nope"),
        (("tiny", "--table"), "argument --table: expected one argument"),
        (("tinny",), "there is no target tinny. Did you mean tiny?"),
        (("tiny", "--table", "none.yaml"), "the table of published results cannot be read"),
    ],
)
def test_bad_words(words, said, command, tmp_path, idle):
    write_table(tmp_path)
    answer = command("reproduce", "--table", "table.yaml", *words)
    answer.refused(f"lightning-gen reproduce: {said}")
    assert not (tmp_path / "logs").exists()


def test_the_list_of_all_targets(command, tmp_path, idle):
    write_table(tmp_path, scores=[PSNR | {"published": [1, 2], "tolerance": 0.25}])
    answer = command("reproduce", "--list", "--table", "table.yaml").done()
    first, second = answer.out.rstrip("\n").split("\n\n")
    assert first.splitlines() == [
        "tiny    minutes on a CPU; 2 runs",
        "  source   A & B 2020, table 1",
        "  setting  all of it",
        "  here     the same",
        "  needs    nothing",
        "  config   tiny.yaml",
        "  score    psnr: published 1.00 to 2.00 dB, asked at least 0.75",
    ]
    assert second.startswith("other    hours on a GPU; 2 runs\n")
    answer = command("reproduce", "--list", "other", "--table", "table.yaml")
    assert answer.out.startswith("other ")
    assert "tiny  " not in answer.out
    assert not (tmp_path / "logs").exists()


def test_other_targets_go_on_after_one_that_failed(command, logs, tmp_path, idle):
    table = write_table(tmp_path, scores=[PSNR | {"metrics": "fid"}])
    content = yaml.safe_load(table.read_text())
    content["second"] = content["tiny"] | {"scores": [PSNR]}
    table.write_text(yaml.safe_dump(content))
    for number in (0, 1):
        (logs / f"reproduce_tiny_{number}").rename(logs / f"reproduce_second_{number}")
        shutil.copytree(logs / f"reproduce_second_{number}", logs / f"reproduce_tiny_{number}")
    answer = command("reproduce", "tiny", "second", "tiny", "--table", table)
    assert answer.code == 1
    assert "1 of 2 not reached: tiny failed" in answer.line
    assert "second  psnr: " in answer.out


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyboardInterrupt, "stopped. The same command goes on"),
        (NotRunError("no data"), "1 of 1 not reached: tiny not run"),
    ],
)
def test_a_training_that_does_not_end(error, said, command, logs, tmp_path, monkeypatch):
    """It is begun although there are finished runs, since it is to be a fresh one."""

    def ended(target, number, root, *, fresh):
        assert fresh
        raise error

    monkeypatch.setattr(verb, "train_run", ended)
    answer = command("reproduce", "tiny", "--table", write_table(tmp_path), "--fresh")
    assert answer.code == 1
    assert said in answer.line
