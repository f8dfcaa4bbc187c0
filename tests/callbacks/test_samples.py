"""Samples, of all kinds and of each class."""

import numpy as np
import pytest
import torch

from lightning_gen.callbacks import ConditionalSamples, Samples
from lightning_gen.figures import image_grid, image_rows
from lightning_gen.models import CVAE
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


@pytest.mark.parametrize("max_rows", [3, 20])
def test_one_row_a_class_and_one_noise_a_column(max_rows, trainer, mini, pictures):
    model = frozen(CVAE, class_names=mini.class_names)
    trainer(ConditionalSamples(num_images=4, max_rows=max_rows, seed=5)).fit(model, mini)
    torch.manual_seed(5)
    noise = torch.randn(4, 4)
    rows = {
        name: model.decode(torch.cat([noise, torch.eye(10)[[label] * 4]], dim=1))
        for label, name in list(enumerate(mini.class_names))[:max_rows]
    }
    expected = image_rows(rows, "Samples of each condition at step 2")
    np.testing.assert_array_equal(pictures("conditional_samples")[2], expected)
