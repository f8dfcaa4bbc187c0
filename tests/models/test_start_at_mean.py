import pytest
import torch
from lightning.pytorch import Trainer
from PIL import Image

from lightning_gen.data import ImageFolder, MiniFashionMNIST
from lightning_gen.models import AE, CVAE, VAE
from lightning_gen.networks import Dense
from lightning_gen.objectives import Bernoulli, DiscretizedLogistic, Gaussian
from support.models import QUIET
from support.refusals import assert_refused

SHAPE = (1, 28, 28)
MEAN_OF_512 = 0.1
"""Six standard errors of the mean of the pixel that varies most."""
STARTING = Dense((8,), start_at_mean=True)


@pytest.fixture(scope="module")
def data():
    return MiniFashionMNIST(20)


@pytest.fixture(scope="module")
def mean(data):
    data.setup("fit")
    images = torch.cat([batch.images for batch in data.in_order("train")])
    return (images.double() / 255).mean(dim=0)


def fit(model, data, **options):
    trainer = Trainer(**QUIET | {"max_steps": 0, "limit_val_batches": 1} | options)
    trainer.fit(model, data)
    return trainer


def output_bias(model):
    return model.decoder[-2].bias.detach().clone()


@pytest.mark.parametrize("kind", [VAE, AE, CVAE])
@pytest.mark.parametrize(
    "likelihood", [Bernoulli(), Gaussian(), Gaussian(bounded=False), DiscretizedLogistic()]
)
def test_features_of_zero_give_the_mean_image(kind, likelihood, data, mean):
    classes = {"class_names": data.info.class_names} if kind is CVAE else {}
    model = kind(SHAPE, latent_dim=4, architecture=STARTING, likelihood=likelihood, **classes)
    fit(model, data)
    for parameter in model.decoder.parameters():
        if parameter.dim() > 1:
            torch.nn.init.zeros_(parameter)
    image = model.likelihood.image(model.decoder(torch.zeros(1, 4 + 10 * (kind is CVAE))))[0]
    torch.testing.assert_close(image.double(), mean.clamp(0.01, 0.99), rtol=0, atol=MEAN_OF_512)


def test_trained_weights_are_not_touched(data, tmp_path):
    model = VAE(SHAPE, architecture=STARTING)
    trainer = fit(model, data, max_steps=3)
    trained = output_bias(model)
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    fit(model, data)
    assert torch.equal(output_bias(model), trained)
    loaded = VAE.load_from_checkpoint(tmp_path / "a.ckpt")
    fit(loaded, data)
    assert torch.equal(output_bias(loaded), trained)
    resumed = VAE(SHAPE, architecture=STARTING)
    Trainer(**QUIET | {"max_steps": 3}).fit(resumed, data, ckpt_path=tmp_path / "a.ckpt")
    assert torch.equal(output_bias(resumed), trained)


def test_the_weights_load_with_and_without(data):
    starting, plain = (VAE(SHAPE, architecture=Dense((8,), start_at_mean=s)) for s in (True, False))
    plain.load_state_dict(starting.state_dict())
    starting.load_state_dict(plain.state_dict())


def test_other_data_has_no_mean():
    model, loader = VAE(SHAPE, architecture=STARTING), [torch.rand(2, *SHAPE)]
    said = "start_at_mean takes the mean of an ImageDataModule's"
    assert_refused(said, Trainer(**QUIET | {"max_steps": 1}).fit, model, loader)


def test_the_mean_is_of_images_from_everywhere(tmp_path):
    for number in range(40):
        grey = 255 * (number // 20)
        folder = tmp_path / f"class {grey}"
        folder.mkdir(exist_ok=True)
        Image.new("L", (8, 8), grey).save(folder / f"{number}.png")
    data = ImageFolder(str(tmp_path), image_size=8, cache=None)
    data.setup("fit")
    assert data.mean_image(28).mean().item() == pytest.approx(0.5, abs=0.08)
