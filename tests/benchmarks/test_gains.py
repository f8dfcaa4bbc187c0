"""What each thing that makes a step cheaper gives."""

import pytest

from support.benchmarks import BENCHMARKS, assert_describes_the_machine, assert_spread, run


@pytest.mark.slow
def test_gains(tmp_path):
    words = ("--models", "dense", "--only", "empty hooks called", "bfloat16")
    sizes = ("--batches", "2", "--epochs", "1", "--repeats", "1")
    results = run("gains.py", tmp_path, *words, *sizes)
    assert_describes_the_machine(results)
    variants = results["variants"]["dense"]
    assert set(variants) == {"as it comes", "empty hooks called", "bfloat16"}
    assert variants["as it comes"]["over_fit"] == {"median": 1, "min": 1, "max": 1}
    for found in variants.values():
        assert_spread(found["over_fit"])
        assert found["images_per_second"] > 0


def test_what_a_variant_undoes_is_there(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import gains
    from lightning_gen.models.module import Module

    from lightning_gen.cli import trainer
    from lightning_gen.data.base import ImageDataModule

    for owner, name in (
        (trainer, "stop_looking_for_a_gpu"),
        (trainer, "empty_hooks_skipped"),
        (Module, "__setattr__"),
        (ImageDataModule, "transfer_batch_to_device"),
    ):
        assert name in vars(owner)
        monkeypatch.setattr(owner, name, vars(owner)[name])  # to be there again afterwards
    for undo in gains.CHANGES.values():
        undo()
    assert "__setattr__" not in vars(Module)
    assert "transfer_batch_to_device" not in vars(ImageDataModule)
