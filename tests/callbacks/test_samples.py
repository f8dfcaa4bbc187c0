import numpy as np
import pytest
import torch

from lightning_gen.callbacks import Samples
from lightning_gen.figures import image_grid
from support.models import frozen


@pytest.mark.parametrize("seed", [0, 7])
def test_each_picture_is_drawn_from_the_same_noise(seed, trainer, mini, pictures):
    model = frozen()
    trainer(Samples(num_images=5, seed=seed), max_epochs=2).fit(model, mini)
    found = pictures("samples")
    for step in (2, 4):
        torch.manual_seed(seed)
        images = model.eval().sample(5)
        np.testing.assert_array_equal(found[step], image_grid(images, f"Samples at step {step}"))
