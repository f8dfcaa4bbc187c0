"""What the Frechet and the kernel distance share: groups left out, and what is refused."""

import pytest
import torch

from lightning_gen.errors import UserError
from lightning_gen.metrics.generation import FrechetDistance, KernelDistance

MAKE = {
    "frechet": FrechetDistance,
    "kernel": lambda features, **arguments: KernelDistance(**arguments),
}

each = pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)


def updated(metric, real, generated):
    metric.update(real, real=True)
    metric.update(generated, real=False)
    return metric


@each
@pytest.mark.parametrize("groups", [5, 9])
def test_the_standard_error_is_that_of_leaving_each_group_out(make, groups):
    """The distances themselves agree with references; 9 images are groups of one by default."""
    sizes = (53, 41) if groups == 5 else (9, 9)
    real, generated = torch.randn(sizes[0], 4), 0.5 + torch.randn(sizes[1], 4)
    variance = torch.zeros(()).double()
    for side, features in enumerate((real, generated)):
        scores = []
        for group in range(groups):
            kept = features[torch.arange(len(features)) % groups != group]
            pair = (kept, generated) if side == 0 else (real, kept)
            scores.append(updated(make(4, groups=0), *pair).compute().value)
        variance += (groups - 1) * torch.stack(scores).double().var(correction=0)
    found = updated(make(4) if groups == 9 else make(4, groups=5), real, generated).compute()
    assert found.standard_error.item() == pytest.approx(variance.sqrt().item(), rel=1e-6)


@each
@pytest.mark.parametrize("sizes", [(1, 10), (10, 1)])
def test_too_few_images_are_refused(make, sizes):
    metric = updated(make(3, groups=0), *(torch.randn(size, 3) for size in sizes))
    words = f"2 or more real and generated images, got {sizes[0]} real and {sizes[1]} generated"
    with pytest.raises(UserError, match=words):
        metric.compute()


@each
def test_other_widths_and_nan_and_one_group_are_refused(make):
    metric = updated(make(4), torch.zeros(3, 4), torch.zeros(3, 4))
    with pytest.raises(UserError, match="needs 4 features an image, as before, got 5"):
        metric.update(torch.zeros(2, 5), real=True)
    with pytest.raises(UserError, match="finite"):
        metric.update(torch.full((2, 4), torch.nan), real=True)
    with pytest.raises(UserError, match="got 1"):
        make(4, groups=1)
