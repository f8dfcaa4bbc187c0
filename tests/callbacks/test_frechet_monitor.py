import pytest
import torch

from lightning_gen import fit
from lightning_gen.callbacks import FrechetMonitor
from lightning_gen.data import MiniFashionMNIST, Shapes
from lightning_gen.features import FashionMNISTClassifier
from lightning_gen.metrics.generation import FrechetDistance
from lightning_gen.models import DCGAN, R3GAN
from lightning_gen.networks import DCGANNetworks
from lightning_gen.training.default_callbacks import default_monitor
from support.command import column
from support.models import build, frozen
from support.refusals import assert_refused

NAME = "frechet_distance[fashion_mnist_classifier]"


def test_the_distance_is_that_of_the_first_images_and_of_the_same_noise(trainer, mini, tmp_path):
    model = build(DCGAN, latent_dim=4)
    run = trainer(FrechetMonitor(FashionMNISTClassifier(), 30, seed=3), limit_train_batches=1)
    run.fit(model, mini)
    model.eval()
    judge, expected = FashionMNISTClassifier(), FrechetDistance(128, groups=0)
    images = torch.cat([batch.images for batch in mini.in_order("val", 30)])[:30].float() / 255
    expected.update(judge(images), real=True)
    torch.manual_seed(3)
    with torch.no_grad():
        expected.update(judge(model.sample(30)), real=False)
    [logged] = column(tmp_path / "run", f"val/{NAME}").values()
    assert logged == pytest.approx(expected.compute().value.item(), rel=1e-3)


def test_the_best_checkpoint_of_a_gan_has_the_least_distance(in_tmp):
    data = MiniFashionMNIST(batch_size=500)
    model = R3GAN(data.image_shape, 4, DCGANNetworks((4, 8), norm_discriminator=False))
    options = {"limit_train_batches": 2, "limit_val_batches": 1, "max_epochs": 5}
    run = fit(model, data, seed=0, **options)
    distances = column(run.path, f"val/{NAME}")
    assert len(distances) == 5
    best = min(distances, key=distances.get)
    assert torch.load(run.checkpoint, weights_only=True)["global_step"] == best + 1


def test_a_model_with_a_loss_and_data_without_a_judge_have_no_monitor(mini):
    assert default_monitor(frozen(), mini) == []
    assert len(default_monitor(build(DCGAN), mini)) == 1


def test_one_image_ends_no_training(trainer, tmp_path):
    run = trainer(FrechetMonitor(FashionMNISTClassifier(), 10), limit_val_batches=1)
    run.fit(build(DCGAN, latent_dim=4), MiniFashionMNIST(batch_size=1))
    [logged] = column(tmp_path / "run", f"val/{NAME}").values()
    assert 0 < logged < float("inf")


def test_images_that_the_extractor_does_not_know_are_refused_before_training(trainer):
    run, model = trainer(FrechetMonitor(FashionMNISTClassifier())), build(DCGAN, (1, 64, 64))
    assert_refused("of 1x28x28, got 1x64x64", run.fit, model, Shapes())
    assert model.global_step == 0
