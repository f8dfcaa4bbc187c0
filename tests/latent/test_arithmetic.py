import numpy as np
import pytest
import torch

from lightning_gen.errors import UserError
from lightning_gen.latent import Sum, mean_code


def test_the_mean_is_that_of_the_chosen_codes():
    codes, chosen = torch.randn(20, 3), torch.arange(20) % 3 == 0
    expected = np.stack([codes[i].numpy() for i in range(0, 20, 3)]).mean(axis=0)
    np.testing.assert_allclose(mean_code(codes, chosen, "boot"), expected, rtol=1e-5)


def test_a_sum_is_a_less_b_plus_c():
    a, b, c = torch.randn(3, 5)
    expected = a.numpy() - b.numpy() + c.numpy()
    np.testing.assert_allclose(Sum(a, b, c).result, expected, rtol=1e-6)


def test_no_image_of_a_name_is_refused():
    with pytest.raises(UserError, match=r"no image of 'boot' among 4. Take more images"):
        mean_code(torch.randn(4, 3), torch.zeros(4, dtype=torch.bool), "boot")
