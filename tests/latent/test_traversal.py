import torch

from lightning_gen.latent import traverse


def test_a_row_changes_its_own_dimension_alone():
    origin, dimensions = torch.randn(5), [3, 0]
    values = torch.tensor([[1.0, 2, 3], [4, 5, 6]])
    before = origin.clone()
    codes = traverse(origin, dimensions, values)
    assert codes.shape == (2, 3, 5)
    for row, dimension in enumerate(dimensions):
        assert torch.equal(codes[row, :, dimension], values[row])
        others = [d for d in range(5) if d != dimension]
        assert (codes[row][:, others] == origin[others]).all()
    assert torch.equal(origin, before)
