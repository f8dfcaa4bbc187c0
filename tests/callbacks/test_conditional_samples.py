import numpy as np
import pytest
import torch

from lightning_gen.callbacks import ConditionalSamples
from lightning_gen.errors import UserError
from lightning_gen.figures import image_rows
from lightning_gen.models import AE, CVAE
from support.models import frozen


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


def test_a_model_without_conditions_is_refused(trainer, mini):
    with pytest.raises(UserError, match=r"ConditionalSamples needs a model that .*and AE does not"):
        trainer(ConditionalSamples()).fit(frozen(AE), mini)


@pytest.mark.parametrize("argument", ["num_images", "max_rows"])
def test_bad_numbers(argument):
    with pytest.raises(UserError, match=f"ConditionalSamples.{argument} .*at least 1.*got 0"):
        ConditionalSamples(**{argument: 0})
