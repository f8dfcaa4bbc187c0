"""What the numbers of a run say in words."""

import pytest

from lightning_gen.callbacks.sample_diversity import LOW
from lightning_gen.runs.pages.diagnosis import diagnose
from lightning_gen.runs.pages.record import Logged


def rows(**columns):
    """A row an epoch of ten steps."""
    count = max(len(values) for values in columns.values())
    return [
        {"step": 10 * epoch + 9, "epoch": str(epoch)}
        | {name: str(values[epoch]) for name, values in columns.items() if epoch < len(values)}
        for epoch in range(count)
    ]


def found(topic, **columns):
    return {finding.topic: finding for finding in diagnose(Logged(rows(**columns)))}.get(topic)


def test_nothing_is_said_without_numbers():
    assert diagnose(Logged([])) == []
    assert diagnose(Logged([{"step": 1, "epoch": "0", "lr-Adam": "0.1"}])) == []


def kl(*values, active):
    return {f"kl_per_dimension/{j:02d}": [nats] for j, nats in enumerate(values)} | {
        "val/active_units": [active]
    }


RISING = {
    "val/loss": [100, 90, 80, 85, 90, 95, 99, 101, 104, 107],
    "train/loss": [100, 90, 80, 70, 65, 60, 55, 50, 45, 40],
}
TWO_PHASES = {"train/loss": [9, 9, 1, 1], "val/loss": [9, 9, 8, 8]}


@pytest.mark.parametrize(
    ("topic", "fine", "columns", "said"),
    [
        ("Numbers", True, {"val/denoised_psnr": ["inf"], "val/loss": [1.0]}, []),
        ("Overfitting", False, RISING,
         ["least, 80, in epoch 3 and rose by 27 to 107 in epoch 10",
          "was 40 in training (mean of 1 logged steps) and 107 in validation",
          "best.ckpt is of epoch 3"]),
        ("Overfitting", True, {"val/loss": [100, 90, 80.0, 80.1, 80.2, 80.1, 80.2, 80.3]},
         ["80 in epoch 3 of 8"]),
        ("Overfitting", False, {"val/loss": [-10, -100, -90, -80, -70]}, []),
        ("Overfitting", True, {"val/loss": [-10, -50, -80, -90, -100]}, []),
        ("Overfitting", True, TWO_PHASES, ["loss was 1 in training"]),
        ("Training time", False, {"val/loss": [200 - 10 * epoch for epoch in range(10)]},
         ["--ckpt_path last"]),
        ("Posterior collapse", False, kl(0.001, 0.0002, active=0.0),
         ["0 of 2 latent dimensions are active, with a KL of 0.0012 nats", "free_bits"]),
        ("Latent code", True, kl(0.004, 2.5, 1.25, active=2.0),
         ["2 of 3 latent dimensions are active", "2.50 (dimension 1), 1.25 (dimension 2)",
          "1 of them, 0, carry less than 0.01 nats each: a model.latent_dim of 2"]),
        ("Codebook", False, {"val/code_use": [0.9, 0.125], "val/perplexity": [9, 12.3]},
         ["12% of the codes", "12.3"]),
        ("Codebook", True, {"val/code_use": [0.9], "val/perplexity": [99]}, []),
        ("Mode collapse", False, {"samples/diversity": [0.9, LOW - 0.1]},
         ["0.20 times as much as real images"]),
        ("Sample diversity", True, {"samples/diversity": [LOW + 0.1]}, []),
    ],
)  # fmt: skip
def test_what_is_found(topic, fine, columns, said):
    finding = found(topic, **columns)
    assert finding.fine == fine
    assert [each for each in said if each not in finding.text] == []


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_loss_that_is_no_number_is_named_with_its_step(value):
    finding = found("Numbers", **{"train/loss": [3, value, "nan"], "val/loss": [3, 2, 2]})
    assert not finding.fine
    assert f"train/loss became {float(value)} at step 19, the first of 2 values" in finding.text
    assert "trainer.gradient_clip_val" in finding.text


def test_what_is_to_be_looked_at_comes_first():
    columns = {"train/loss": [1, 1], "samples/diversity": [0.1, 0.1]}
    assert [finding.fine for finding in diagnose(Logged(rows(**columns)))] == [False, True]


def test_what_cannot_be_said_is_not():
    """A loss of another phase, or one whose KL is weighted, is none to compare with."""
    parts = {"train/reconstruction": [5, 4], "val/reconstruction": [6, 5, 5, 5]}
    assert "in training" not in found("Overfitting", **TWO_PHASES, **parts).text
    assert found("Overfitting", **{"train/loss": [3, 2, 1]}) is None, "there is no validation"
    assert found("Training time", **{"val/loss": [200, *[100] * 9]}) is None
