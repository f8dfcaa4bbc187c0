"""What the numbers of a run say in words."""

import pytest

from lightning_gen.callbacks.samples import LOW
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


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_loss_that_is_no_number_is_named_with_its_step(value):
    finding = found("Numbers", **{"train/loss": [3, value, "nan"], "val/loss": [3, 2, 2]})
    assert not finding.fine
    assert f"train/loss became {float(value)} at step 19, the first of 2 values" in finding.text
    assert "trainer.gradient_clip_val" in finding.text
    perfect = {"val/denoised_psnr": ["inf"], "val/loss": [1.0]}
    assert found("Numbers", **perfect).fine


def test_a_validation_loss_that_rises_for_long_is_overfitting():
    losses = [100, 90, 80, 85, 90, 95, 99, 101, 104, 107]
    train = {"train/loss": [100, 90, 80, 70, 65, 60, 55, 50, 45, 40]}
    finding = found("Overfitting", **{"val/loss": losses}, **train)
    assert not finding.fine
    assert "least, 80, in epoch 3 and rose by 27 to 107 in epoch 10" in finding.text
    assert "was 40 in training (mean of 1 logged steps) and 107 in validation" in finding.text
    assert "best.ckpt is of epoch 3" in finding.text


def test_noise_at_the_end_is_no_overfitting_nor_is_a_loss_below_zero():
    finding = found("Overfitting", **{"val/loss": [100, 90, 80.0, 80.1, 80.2, 80.1, 80.2, 80.3]})
    assert finding.fine
    assert "80 in epoch 3 of 8" in finding.text
    assert not found("Overfitting", **{"val/loss": [-10, -100, -90, -80, -70]}).fine
    assert found("Overfitting", **{"val/loss": [-10, -50, -80, -90, -100]}).fine


def test_a_loss_that_still_falls_wants_more_epochs():
    losses = [200 - 10 * epoch for epoch in range(10)]
    finding = found("Training time", **{"val/loss": losses})
    assert not finding.fine
    assert "--ckpt_path last" in finding.text
    assert found("Training time", **{"val/loss": [200, *[100] * 9]}) is None


def kl(*values, active):
    return {f"kl_per_dimension/{j:02d}": [nats] for j, nats in enumerate(values)} | {
        "val/active_units": [active]
    }


def test_a_collapsed_posterior():
    finding = found("Posterior collapse", **kl(0.001, 0.0002, active=0.0))
    assert not finding.fine
    assert "0 of 2 latent dimensions are active, with a KL of 0.0012 nats" in finding.text
    assert "free_bits" in finding.text


def test_the_dimensions_that_carry_nothing_are_named():
    finding = found("Latent code", **kl(0.004, 2.5, 1.25, active=2.0))
    assert finding.fine
    assert "2 of 3 latent dimensions are active" in finding.text
    assert "2.50 (dimension 1), 1.25 (dimension 2)" in finding.text
    assert "1 of them, 0, carry less than 0.01 nats each: a model.latent_dim of 2" in finding.text


def test_an_idle_codebook():
    finding = found("Codebook", **{"val/code_use": [0.9, 0.125], "val/perplexity": [9, 12.3]})
    assert not finding.fine
    assert "12% of the codes" in finding.text
    assert "12.3" in finding.text
    assert found("Codebook", **{"val/code_use": [0.9], "val/perplexity": [99]}).fine


def test_samples_that_are_all_alike():
    finding = found("Mode collapse", **{"samples/diversity": [0.9, LOW - 0.1]})
    assert not finding.fine
    assert "0.20 times as much as real images" in finding.text
    assert found("Sample diversity", **{"samples/diversity": [LOW + 0.1]}).fine


def test_what_is_to_be_looked_at_comes_first():
    columns = {"train/loss": [1, 1], "samples/diversity": [0.1, 0.1]}
    assert [finding.fine for finding in diagnose(Logged(rows(**columns)))] == [False, True]


def test_training_and_validation_are_compared_in_the_same_part():
    """A loss of another phase, or one whose KL is weighted, is none to compare with."""
    losses = {"train/loss": [9, 9, 1, 1], "val/loss": [9, 9, 8, 8]}
    parts = {"train/reconstruction": [5, 4], "val/reconstruction": [6, 5, 5, 5]}
    assert "in training" not in found("Overfitting", **losses, **parts).text
    assert "loss was 1 in training" in found("Overfitting", **losses).text
    assert found("Overfitting", **{"train/loss": [3, 2, 1]}) is None, "there is no validation"
