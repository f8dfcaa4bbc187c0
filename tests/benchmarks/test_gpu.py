"""What is asked of a GPU, in small without one."""

import os
import subprocess

import pytest
import torch

from support.benchmarks import BENCHMARKS, assert_describes_the_machine, assert_spread, run


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="on a GPU it takes its full sizes")
def test_in_small_without_a_gpu(tmp_path, capfd):
    results = run("gpu.py", tmp_path, "--repeats", "1")
    assert "no GPU was measured" in capfd.readouterr().out
    assert_describes_the_machine(results)
    assert results["settings"]["on_a_gpu"] is False
    vaes = {f"{name} VAE, batch {size}" for name in ("dense", "conv") for size in (128, 256)}
    usual = {f"{name}, DataLoader" for name in vaes}
    assert set(results["fits"]) == {*vaes, *usual, "ResVAE", "ResVAE, compiled"}
    for name, found in results["fits"].items():
        others = "compiled" if "ResVAE" in name else "tuned"
        for loop in ("bare",) if name in usual else ("bare", others):
            assert_spread(found[f"over_{loop}"])


def test_a_step_without_time_is_said_to_be_skipped(tmp_path):
    """The script as a whole is run by hand, DEVICE=cpu: it takes minutes."""
    script = ["bash", BENCHMARKS / "gpu_day.sh", tmp_path / "results"]
    environment = os.environ | {"TOTAL": "0", "DEVICE": "cpu", "TMPDIR": str(tmp_path)}
    subprocess.run(script, env=environment, check=True, capture_output=True)
    rows = (tmp_path / "results" / "summary.tsv").read_text().splitlines()
    steps = {row.split("\t")[0]: row.split("\t")[1] for row in rows}
    assert {"quickstart", "quickstart report", "VQVAE bf16-mixed", "same weights"} <= set(steps)
    assert {"throughput", "time to quality", "samples of the gan"} <= set(steps)
    assert set(steps.values()) == {"skipped"}
    assert [path.name for path in tmp_path.iterdir()] == ["results"], "something was left behind"
