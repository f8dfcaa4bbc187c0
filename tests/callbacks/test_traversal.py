import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from lightning_gen.callbacks import Traversal
from lightning_gen.errors import UserError
from lightning_gen.figures import image_rows
from lightning_gen.views import typical
from support.kinds import KINDS, fixed


@torch.no_grad()
def test_a_typical_image_is_changed_along_the_dimensions_of_most_kl(trainer, mini, pictures):
    model = fixed("VAE")
    trainer(Traversal(2, 3, 1.5, num_images=30)).fit(model, mini)
    source, indices = mini._splits["val"]
    posterior = model.eval().posterior(source.images[indices[:30]].float() / 255)
    own = Normal(posterior.mean, (posterior.log_var / 2).exp())
    kl = kl_divergence(own, Normal(0.0, 1.0)).mean(dim=0)
    rows = {}
    for dimension in kl.argsort(descending=True)[:2].tolist():
        codes = typical(model, posterior.mean).repeat(3, 1)
        codes[:, dimension] = torch.tensor([-1.5, 0, 1.5])
        rows[f"z{dimension}  {kl[dimension]:.2f} nats"] = model.decode(codes)
    title = "One dimension a row, from -1.5 to 1.5, standard deviations of the prior at step 2"
    expected = image_rows(rows, title, ["-1.5", "0", "1.5"]).astype(int)
    found = pictures("traversal")[2].astype(int)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1


def test_no_more_rows_than_dimensions(trainer, mini, pictures):
    trainer(Traversal(100, 2)).fit(fixed("CVAE"), mini)
    assert pictures("traversal")[2].shape[0] < 5.5 * 84


def test_a_generator_is_shown_at_the_same_draw_each_time(trainer, mini, monkeypatch):
    codes = []
    model = KINDS["DCGAN"]()
    decode = model.decode
    run = trainer(Traversal(2, 3, every_n_epochs=1), max_epochs=3)

    def recorded(batch):
        if not model.training:
            codes.append(batch.clone())
        return decode(batch)

    monkeypatch.setattr(model, "decode", recorded)
    run.fit(model, mini)
    drawn = [batch for batch in codes if len(batch) == 6]
    assert len(drawn) == 3
    assert all(torch.equal(batch, drawn[0]) for batch in drawn)


@pytest.mark.parametrize(
    ("argument", "value", "words"),
    [
        ("num_dimensions", 0, "is at least 1, got 0"),
        ("steps", 1, "is at least 2, got 1"),
        ("span", 0.0, "is above 0, got 0"),
        ("span", -1.0, "is above 0, got -1"),
    ],
)
def test_bad_numbers(argument, value, words):
    with pytest.raises(UserError, match=rf"Traversal.{argument} {words}"):
        Traversal(**{argument: value})
