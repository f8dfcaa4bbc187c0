"""The command line, run in the process of the test."""

import csv
from pathlib import Path
from typing import NamedTuple

from lightning_gen.atomic import draft

CONF = Path(__file__).parents[2] / "conf"

TWO_BATCHES = (
    *("--trainer.accelerator", "cpu", "--trainer.devices", "1"),
    *("--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2"),
    *("--trainer.limit_val_batches", "1", "--trainer.limit_test_batches", "1"),
    *("--trainer.enable_progress_bar", "false"),
)

SMALL_MODEL = (
    *("--model", "VAE", "--model.latent_dim", "2"),
    *("--model.architecture", "Dense", "--model.architecture.widths", "[8]"),
)
MINI_DATA = ("--data", "MiniFashionMNIST", "--data.batch_size", "50")
NO_PICTURES = ("--default_pictures", "false")
SMALL = (*SMALL_MODEL, *MINI_DATA, *NO_PICTURES, *TWO_BATCHES, "--trainer.log_every_n_steps", "1")
"""A whole run of about a second."""


class Answer(NamedTuple):
    """What a command gave back."""

    code: int
    out: str
    err: str

    @property
    def line(self):
        """The one line on stderr."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.out + self.err
        return lines[0]

    def done(self):
        """This answer, of a command that went well and had nothing to say on stderr."""
        assert (self.code, self.err) == (0, "")
        return self

    def refused(self, *said):
        """Exit code 2, and all of this in the one line."""
        assert self.code == 2, self.err
        assert self.line
        for each in said:
            assert each in self.line


def runs(folder):
    """The run directories below a folder."""
    return sorted(path for path in Path(folder).glob("*/version_*") if path.is_dir())


def only_run(folder):
    (directory,) = runs(folder)
    return directory


def rows(directory):
    """The rows of a run's metrics.csv."""
    with (directory / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def column(directory, name):
    """The values of a metric, by step."""
    return {int(r["step"]): float(r[name]) for r in rows(directory) if r.get(name)}


def leave_half(path):
    """A draft of ``path`` as a killed process leaves it."""
    unfinished = draft(path).__enter__()  # its context ends here
    unfinished.write_bytes(b"half")
    return unfinished


def assert_whole(directory, pictures=True):
    """Everything that a run leaves behind is there."""
    for name in ("config.yaml", "environment.json", "metrics.csv"):
        assert (directory / name).stat().st_size > 0, name
    checkpoints = sorted(path.name for path in (directory / "checkpoints").iterdir())
    assert checkpoints == ["best.ckpt", "last.ckpt"]
    assert column(directory, "test/loss") or column(directory, "test/discriminator_loss")
    assert not pictures or list((directory / "images").glob("*/*.png"))
    assert not list(directory.rglob(".*")), "a draft was left behind"
