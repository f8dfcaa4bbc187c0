import pytest
import torch
from torch import nn

from lightning_gen.networks import DCGANNetworks

E = DCGANNetworks((64, 128), 5, dropout=0.4, norm_start=False, norm_discriminator=False)


@pytest.mark.parametrize(
    ("widths", "image_shape"),
    [
        ((8, 16), (1, 28, 28)),
        ((4, 8, 16, 32, 64), (3, 128, 128)),
        ((8, 16), (1, 27, 29)),
        ((8, 16, 32), (3, 21, 34)),
        ((8,), (2, 5, 3)),
    ],
)
@pytest.mark.parametrize("kernel_size", [3, 4, 5, 6])
@torch.no_grad()
def test_any_image_shape(widths, image_shape, kernel_size):
    networks = DCGANNetworks(widths, kernel_size)
    images = networks.generator(image_shape, 7)(torch.randn(3, 7))
    assert images.shape == (3, *image_shape)
    assert networks.discriminator(image_shape)(images).shape == (3,)


@torch.no_grad()
def test_the_discriminator_sees_minus_one_to_one():
    discriminator = E.discriminator((1, 28, 28)).eval()
    images = torch.rand(5, 1, 28, 28)
    expected = discriminator[1:](2 * images - 1)
    torch.testing.assert_close(discriminator(images), expected)


def test_images_of_a_bfloat16_generator_are_float32():
    generator = E.generator((1, 28, 28), 4)
    with torch.autocast("cpu", torch.bfloat16):
        images = generator(torch.randn(50, 4))
    assert images.dtype == torch.float32
    assert images.unique().numel() > 256


def test_initial_weights():
    networks = DCGANNetworks((64, 128, 256))
    for module in (networks.generator((3, 64, 64), 100), networks.discriminator((3, 64, 64))):
        for layer in module:
            if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                assert layer.weight.mean().item() == pytest.approx(0, abs=2e-3)
                assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
                assert not layer.bias.any()
            elif isinstance(layer, nn.BatchNorm2d):
                assert layer.weight.mean().item() == pytest.approx(1, abs=0.01)
                assert layer.weight.std().item() == pytest.approx(0.02, rel=0.3)


def test_spectral_norm_is_the_largest_singular_value_after_some_steps():
    discriminator = DCGANNetworks((4, 8), spectral_norm=True).discriminator((1, 12, 12))
    for _ in range(50):  # a power iteration in each
        discriminator(torch.rand(2, 1, 12, 12))
    layers = [part for part in discriminator.modules() if isinstance(part, nn.Linear | nn.Conv2d)]
    norms = [torch.linalg.matrix_norm(part.weight.flatten(1), 2).item() for part in layers]
    assert norms == pytest.approx([1.0] * 3, rel=1e-3)
    plain = DCGANNetworks((4, 8)).discriminator((1, 12, 12))
    assert torch.linalg.matrix_norm(plain[1].weight.flatten(1), 2) < 0.5
