import torch

from lightning_gen.figures import codebook_bars, to_array


def test_each_codebook_has_a_panel_of_sorted_shares():
    counts = torch.tensor([[1, 0, 3, 4], [2, 2, 2, 2]])
    figure = codebook_bars(counts, torch.tensor([2.65, 4.0]))
    first, second = figure.axes
    [area] = first.collections
    heights = area.get_paths()[0].vertices[:, 1]
    assert {50.0, 37.5, 12.5} <= set(heights.tolist())
    assert heights.max() == 50
    assert first.get_title(loc="left") == "perplexity 3 of 4"
    assert second.get_title(loc="left") == "perplexity 4 of 4"
    assert first.lines[0].get_ydata()[0] == 25
    assert to_array(figure).ndim == 3
