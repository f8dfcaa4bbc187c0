"""The half for a GPU, which runs in small without one."""

import pytest
import torch

from support.benchmarks import assert_describes_the_machine, assert_positive, assert_spread, run


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="on a GPU it takes its full sizes")
def test_in_small_without_a_gpu(tmp_path, capfd):
    results = run("gpu.py", tmp_path, "--repeats", "1", "--epochs", "1")
    assert "the GPU half is not measured" in capfd.readouterr().out
    assert_describes_the_machine(results)
    assert results["measured_on_a_gpu"] is False
    fits = results["fits"]
    for name in ("dense VAE", "conv VAE", "dense VAE, CUDA graphs", "conv VAE, CUDA graphs"):
        for ratio in ("over_graphed", "over_bare", "over_tuned", "over_usual"):
            assert_spread(fits[name][ratio])
        assert fits[name]["targets"] == {"over_graphed": 0.8, "over_usual": 10}
    for graphs in ("", ", CUDA graphs"):
        assert_spread(fits[f"ResVAE{graphs}"]["over_compiled"])
        assert_positive(fits[f"VQ-VAE{graphs}"])
