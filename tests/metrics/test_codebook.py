import numpy as np
import pytest
import torch

from lightning_gen.metrics import CodeCounts, code_perplexity, code_use


def test_counts_are_of_all_batches():
    indices = torch.randint(7, (30, 4, 2))
    metric = CodeCounts(2, 7)
    for batch in indices.split(8):
        metric.update(batch)
    expected = [np.bincount(indices[:, :, book].flatten(), minlength=7) for book in range(2)]
    np.testing.assert_array_equal(metric.compute(), expected)
    metric.reset()
    metric.update(indices[:1])
    assert metric.compute().sum() == 8


def test_perplexity_agrees_with_torch_distributions():
    counts = torch.randint(0, 50, (3, 40))
    entropy = torch.distributions.Categorical(counts.float()).entropy()
    torch.testing.assert_close(code_perplexity(counts), entropy.exp())


@pytest.mark.parametrize("size", [2, 512])
def test_the_extremes(size):
    counts = torch.zeros(2, size, dtype=torch.int64)
    counts[0], counts[1, 0] = 1_000_000, 1_000_000
    assert code_perplexity(counts).tolist() == pytest.approx([size, 1])
    assert code_use(counts).tolist() == pytest.approx([1, 1 / size])
