import torch

from lightning_gen.noise import normal_like, uniform_like
from support.processes import on_two_processes


def draws(rank, seed):
    torch.manual_seed(seed)
    rows = torch.empty(4, 3, dtype=torch.float64)
    return [normal_like(rows).tolist(), uniform_like(rows).tolist()]


def test_two_processes_share_the_numbers_of_one(tmp_path):
    first, second = on_two_processes(draws, tmp_path, 5)
    torch.manual_seed(5)
    for number, draw in enumerate((normal_like, uniform_like)):
        whole = draw(torch.empty(8, 3, dtype=torch.float64))
        assert whole[0::2].tolist() == first[number]
        assert whole[1::2].tolist() == second[number]


def test_one_process_draws_as_torch_does():
    for ours, theirs in ((normal_like, torch.randn_like), (uniform_like, torch.rand_like)):
        rows = torch.empty(5, 2, 2)
        torch.manual_seed(1)
        drawn = ours(rows)
        torch.manual_seed(1)
        assert torch.equal(drawn, theirs(rows))
