import numpy as np
import pytest
import torch

from lightning_gen.callbacks import Arithmetic
from lightning_gen.errors import UserError
from lightning_gen.figures import image_rows
from support.kinds import fixed


@torch.no_grad()
@pytest.mark.parametrize("terms", [None, ("Coat", "Shirt", "Bag")])
def test_mean_codes_of_classes_and_their_sum_are_decoded(terms, trainer, mini, pictures):
    model = fixed("AE")
    trainer(Arithmetic(terms, num_images=60), limit_val_batches=3).fit(model, mini)
    source, indices = mini._splits["val"]
    codes = model.eval().encode(source.images[indices[:60]].float() / 255)
    labels = source.labels[indices[:60]]
    a, b, c = names = terms or ("Pullover", "T-shirt/top", "Dress")
    masks = [labels == mini.class_names.index(name) for name in names]
    means = [codes[mask].mean(dim=0) for mask in masks]
    images = model.decode(torch.stack([*means, means[0] - means[1] + means[2]]))
    counts = ", ".join(str(int(mask.sum())) for mask in masks)
    title = f"{a} - {b} + {c}: means of {counts} codes and their sum, decoded at step 2"
    expected = image_rows({"": images}, title, [a, f"- {b}", f"+ {c}", "= sum"]).astype(int)
    found = pictures("arithmetic")[2].astype(int)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1


def test_an_unknown_name_is_refused_before_training(trainer, mini):
    model = fixed("AE")
    with pytest.raises(UserError, match=r"got 'coat'. Did you mean Coat"):
        trainer(Arithmetic(("Dress", "coat", "Bag"))).fit(model, mini)
    assert model.trainer.global_step == 0


def test_a_validation_without_some_class_warns_and_goes_on(trainer, mini, tmp_path):
    """Two images are of two classes at most."""
    model, callback = fixed("AE"), Arithmetic(("Coat", "Dress", "Bag"), 2, every_n_epochs=2)
    words = r"Arithmetic draws nothing: there is no image of '.*' among 2\. Take more images"
    with pytest.warns(UserWarning, match=words) as caught:
        trainer(callback, max_epochs=2).fit(model, mini)
    assert len([w for w in caught if "draws nothing" in str(w.message)]) == 1
    assert model.trainer.global_step == 4
    assert not (tmp_path / "run" / "images").exists()


def test_data_of_two_classes_are_not_drawn_by_default(trainer, mini, tmp_path):
    class Two(type(mini)):
        class_names = ("a", "b")

    trainer(Arithmetic()).fit(fixed("AE"), Two(batch_size=20))
    assert not (tmp_path / "run" / "images").exists()
