"""Which numbers of two runs may be compared, and what the runs are called."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from lightning_gen.runs.pages.compared import (
    ComparedRun,
    _labels,
    compared_metrics,
    compared_settings,
    leader,
)
from lightning_gen.runs.pages.record import Logged, RunRecord
from lightning_gen.training.directory import RunDirectory
from support.finished import run_of
from support.kinds import KINDS
from support.quantities import KNOWN

ROWS = [{"step": 9, "epoch": "0", "test/loss": "9", "test/reconstruction": "7", "val/loss": "9"}]


def config(kind="VAE", data=None, trainer=None, **arguments):
    shared = {"latent_dim": 2, "likelihood": "Bernoulli", "optimizer": {"lr": 0.1}}
    mnist = {"root": "data", "download": True, "val_fraction": 0.1, "batch_size": 8}
    return {
        "model": {"class_path": f"lightning_gen.models.{kind}", "init_args": shared | arguments},
        "data": {"class_path": "lightning_gen.data.MNIST", "init_args": mnist | (data or {})},
        "trainer": trainer or {},
    }


def compared(*configs):
    model = KINDS["VAE"]()
    logged = [Logged([dict(row) for row in ROWS]) for _ in configs]
    records = [
        RunRecord(RunDirectory(Path()), each, {}, rows, KNOWN)
        for each, rows in zip(configs, logged, strict=True)
    ]
    return [ComparedRun(str(n), run_of(model), [record]) for n, record in enumerate(records)]


def fault(column, *configs):
    return {m.column: m.fault for m in compared_metrics(compared(*configs))}[column]


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (config("FactorVAE", gamma=1.0), config("FactorVAE", gamma=35.0), "model.gamma"),
        (config("VAE"), config("FactorVAE", gamma=1.0), "different terms"),
        (config("BetaVAE", beta=4.0), config("BetaTCVAE", beta=4.0), "different terms"),
        (config("BetaVAE", beta=4.0), config("BetaVAE", beta=1.0), "model.beta"),
        (config(objective={"beta": 1.0}), config(objective={"beta": 2.0}), "model.objective.beta"),
        (config("IWAE", num_samples=5), config("IWAE", num_samples=50), "model.num_samples"),
        (config("WAE", kernel="RBF"), config("WAE", kernel="Other"), "model.kernel"),
        (config("Own", something_new=1), config("Own", something_new=2), "model.something_new"),
        (config(), config(likelihood="Gaussian"), "the likelihoods differ"),
        (config(), config(data={"binarize": "threshold"}), "data.binarize"),
        (config(), config(data={"train_classes": ["1"]}), "data.train_classes"),
        (config(trainer={"limit_test_batches": 2}), config(), "trainer.limit_test_batches"),
    ],
)
def test_losses_of_other_objectives_or_images_are_not_compared(one, other, words):
    metrics = {metric.column: metric for metric in compared_metrics(compared(one, other))}
    assert words in metrics["test/loss"].fault
    assert metrics["test/loss"].best is None


@pytest.mark.parametrize(
    "other",
    [
        config(),
        config(latent_dim=64),
        config(architecture={"class_path": "Dense", "init_args": {"widths": [8]}}),
        config(optimizer={"class_path": "torch.optim.SGD", "init_args": {"lr": 1}}),
        config(data={"root": "/elsewhere", "batch_size": 512, "val_fraction": 0.2}),
        config(trainer={"max_epochs": 9, "limit_val_batches": 3}),
        config(objective={"warmup_steps": 100, "free_bits": 0.1}),
    ],
)
def test_what_changes_no_loss_leaves_runs_comparable(other):
    assert fault("test/loss", config(), other) == ""
    better, worse = compared(config(), other)
    worse.record.logged.rows[0]["test/loss"] = "9.5"
    found = leader(compared_metrics([better, worse]))
    assert (found.column, found.best) == ("test/loss", 0)


def test_of_equal_runs_none_is_the_best():
    assert leader(compared_metrics(compared(config(), config()))) is None


def test_validation_splits_and_folders_of_images_are_told_apart():
    assert "data.val_fraction" in fault("val/loss", config(), config(data={"val_fraction": 0.2}))
    data = {"class_path": "lightning_gen.data.ImageFolder"}
    one, other = (config() | {"data": data | {"init_args": {"root": name}}} for name in "ab")
    assert "data.root" in fault("test/loss", one, other)


@pytest.mark.parametrize(
    ("names", "configs", "labels"),
    [
        (("a/version_0", "b/version_0"), (config(), config(latent_dim=3)), ["a", "b"]),
        (
            ("trial_0000_latent_dim=2/version_0", "trial_0001_latent_dim=3/version_0"),
            (config(latent_dim=2), config(latent_dim=3)),
            ["latent_dim 2", "latent_dim 3"],
        ),
        (
            ("vae/version_0", "vae/version_1"),
            (config("VAE"), config("AE", trainer={"max_time": "1"})),
            ["model VAE", "model AE"],
        ),
        (("vae/version_0", "vae/version_1"), (config(),) * 2, ["vae/version_0", "vae/version_1"]),
    ],
)
def test_runs_are_called_by_what_differs(names, configs, labels):
    runs = [SimpleNamespace(name=name, checkpoint=Path("best.ckpt")) for name in names]
    assert _labels(runs, compared_settings(configs)) == labels
