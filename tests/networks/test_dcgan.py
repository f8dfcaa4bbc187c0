"""DCGAN's networks: experiment E's to the letter, the paper's layout, any image shape."""

import pytest
import torch
from torch import nn

from lightning_gen.errors import UserError
from lightning_gen.networks import DCGANNetworks

E = DCGANNetworks((64, 128), 5, dropout=0.4, norm_start=False, norm_discriminator=False)
PAPER = DCGANNetworks((128, 256, 512, 1024))


def count(module):
    return sum(p.numel() for p in module.parameters())


def kinds(module):
    return [type(layer) for layer in module]


def shapes(module, tensor):
    """What each layer gives, without the batch."""
    found = []
    for layer in module:
        tensor = layer(tensor)
        found.append(tuple(tensor.shape[1:]))
    return found


def test_generator_of_experiment_e():
    generator = E.generator((1, 28, 28), 100)
    assert count(generator) == (
        (100 * 6272 + 6272) + (128 * 25 * 64 + 64) + (64 + 64) + (64 * 25 * 1 + 1)
    )
    linear, _, first, norm, relu, last, _ = generator
    assert shapes(generator, torch.randn(2, 100)) == [
        (6272,),
        (128, 7, 7),
        *[(64, 14, 14)] * 3,
        *[(1, 28, 28)] * 2,
    ]
    assert kinds([linear, first, norm, relu, last]) == [
        *(nn.Linear, nn.ConvTranspose2d, nn.BatchNorm2d, nn.ReLU, nn.ConvTranspose2d)
    ]
    assert first.kernel_size == last.kernel_size == (5, 5)
    assert first.stride == last.stride == (2, 2)


def test_discriminator_of_experiment_e():
    discriminator = E.discriminator((1, 28, 28))
    assert count(discriminator) == (1 * 25 * 64 + 64) + (64 * 25 * 128 + 128) + (128 * 49 + 1)
    assert kinds(discriminator)[1:-1] == [
        *(nn.Conv2d, nn.LeakyReLU, nn.Dropout),
        *(nn.Conv2d, nn.LeakyReLU, nn.Dropout),
        *(nn.Flatten, nn.Linear),
    ]
    assert {layer.p for layer in discriminator if isinstance(layer, nn.Dropout)} == {0.4}
    slopes = {layer.negative_slope for layer in discriminator if isinstance(layer, nn.LeakyReLU)}
    assert slopes == {0.2}
    convolutions = [layer for layer in discriminator if isinstance(layer, nn.Conv2d)]
    assert [(c.kernel_size, c.stride) for c in convolutions] == [((5, 5), (2, 2))] * 2


def test_generator_of_the_paper():
    generator = PAPER.generator((3, 64, 64), 100)
    stage = [nn.BatchNorm2d, nn.ReLU, nn.ConvTranspose2d]
    assert kinds(generator)[:-1] == [nn.Linear, nn.Unflatten, *4 * stage]
    sides = [shape for shape in shapes(generator, torch.randn(2, 100)) if len(shape) == 3]
    assert list(dict.fromkeys(sides)) == [
        *((1024, 4, 4), (512, 8, 8), (256, 16, 16), (128, 32, 32), (3, 64, 64))
    ]


def test_discriminator_of_the_paper():
    discriminator = PAPER.discriminator((3, 64, 64))
    stage = [nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU]
    assert kinds(discriminator)[1:-1] == [
        *(nn.Conv2d, nn.LeakyReLU),
        *3 * stage,
        *(nn.Flatten, nn.Linear),
    ]


@pytest.mark.parametrize(
    ("widths", "image_shape"),
    [
        ((8, 16), (1, 28, 28)),
        ((8, 16, 32), (3, 32, 32)),
        ((8, 16, 32, 64), (3, 64, 64)),
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
def test_images_are_the_tanh_in_zero_to_one():
    generator = E.generator((1, 28, 28), 4)
    codes = torch.randn(5, 4)
    raw = generator[:-1](codes)
    torch.testing.assert_close(2 * generator(codes) - 1, torch.tanh(raw))


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"widths": ()}, r"DCGANNetworks.widths .* got \[\]"),
        ({"kernel_size": 2}, "kernel_size is at least 3, got 2"),
        ({"dropout": 1.0}, r"dropout is a share .* got 1.0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(UserError, match=message):
        DCGANNetworks(**arguments)


def test_an_image_too_small():
    with pytest.raises(UserError, match="at least 16 pixels a side, got 12x40"):
        PAPER.generator((3, 12, 40), 10)
