"""The networks of the experiments to the letter: layers, and parameters counted by hand."""

import itertools
from pathlib import Path

import pytest
import torch
import yaml
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import instantiate_module
from torch import nn

from lightning_gen.models import CAE, ResVAE
from lightning_gen.networks import Conv, DCGANNetworks, Pooled
from lightning_gen.networks.conv import ResidualBlock

EXPERIMENTS = Path(__file__).parents[2] / "conf" / "experiment"
GREY, SMALL_FACES, FACES = (1, 28, 28), (3, 64, 64), (3, 128, 128)


def shipped(name, image_shape=GREY, **linked):
    """The model of conf/experiment/NAME.yaml, with what the data knows filled in."""
    path = EXPERIMENTS / f"{name}.yaml"
    model = yaml.safe_load(path.read_text())["model"]
    if isinstance(model, str):
        model = yaml.safe_load((path.parent / model).read_text())
    arguments = {"_class_path": model["class_path"], **model["init_args"], **linked}
    return instantiate_module(LightningModule, arguments | {"image_shape": image_shape})


def count(module):
    return sum(p.numel() for p in module.parameters())


def conv(before, after, kernel):
    """Parameters of a convolution, transposed or not, with its bias."""
    return before * after * kernel**2 + after


def dense(*widths):
    """Parameters of linear layers with their biases."""
    return sum(a * b + b for a, b in itertools.pairwise(widths))


def letters(module):
    """(type, channels in, channels out, kernel, stride) of convolutions, the type of the rest."""
    return [
        (type(layer), layer.in_channels, layer.out_channels, layer.kernel_size[0], layer.stride[0])
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
        else type(layer)
        for layer in module
    ]


def feature_maps(module, x):
    """Shapes after each convolution."""
    shapes = []
    for layer in module:
        x = layer(x)
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            shapes.append(tuple(x.shape[1:]))
    return shapes


def pooled(*widths):
    """Parameters of a pooled encoder and of its mirror image."""
    pairs = [*itertools.pairwise(widths)]
    return sum(conv(*pair, 3) + conv(*reversed(pair), 3) for pair in pairs)


def convolutional(latent_dim, flat, *widths, heads=2):
    """Parameters of an encoder of 4 x 4 convolutions with linear heads, and of its decoder."""
    pairs = [*itertools.pairwise(widths)]
    stages = sum(conv(*pair, 4) + conv(*reversed(pair), 4) for pair in pairs)
    return stages + heads * dense(flat, latent_dim) + dense(latent_dim, flat)


def blocks(*widths):
    """Two convolutions of 3 x 3 behind each stage."""
    return sum(2 * conv(width, width, 3) for width in widths)


# The stages' sides are 28 -> 14 -> 7 -> 3, 64 -> ... -> 4 and 128 -> ... -> 4.
PARAMETERS = {
    "fashion_mnist_cae": (pooled(1, 32, 64, 128), 185_217),
    "fashion_mnist_denoising_cae": (pooled(1, 32, 64, 128), 185_217),
    # 7x7x128 -> 4x4x2 -> 7x7x128
    "fashion_mnist_cae_bottleneck": (pooled(1, 32, 64, 128, 2), 189_955),
    "fashion_mnist_ae_2d": (convolutional(2, 64 * 7 * 7, 1, 32, 64, heads=1), 82_371),
    "fashion_mnist_vae_2d": (convolutional(2, 64 * 7 * 7, 1, 32, 64), 88_645),
    "mnist_dense_vae": (dense(784, 400) + 2 * dense(400, 20) + dense(20, 400, 784), 652_824),
    "fashion_mnist_conv_vae": (convolutional(20, 128 * 3 * 3, 1, 32, 64, 128), 399_337),
    "celeba_beta_vae": (convolutional(100, 256 * 4 * 4, 3, 32, 64, 128, 256), 2_613_131),
    # A plane for each class into the encoder, ten more inputs of the decoder, and a location and a
    # scale of each pixel out of it.
    "fashion_mnist_cvae": (
        conv(1 + 10, 32, 4)
        + conv(32, 64, 4)
        + 2 * dense(64 * 7 * 7, 10)
        + dense(10 + 10, 64 * 7 * 7)
        + conv(64, 32, 4)
        + conv(32, 2, 4),
        200_918,
    ),
    "celeba_res_vae": (
        convolutional(128, 512 * 4 * 4, 3, 32, 64, 128, 256, 512)
        + blocks(32, 64, 128, 256, 512)
        + blocks(256, 128, 64, 32),
        None,
    ),
    "fashion_mnist_stacked_dae": (dense(784, 100, 30) + dense(30, 100, 784), 163_814),
    "fashion_mnist_dense_vae": (
        dense(784, 150, 100) + 2 * dense(100, 10) + dense(10, 100, 150, 784),
        269_504,
    ),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_of_the_shipped_experiments(name):
    by_hand, published = PARAMETERS[name]
    shape = {"celeba_beta_vae": SMALL_FACES, "celeba_res_vae": FACES}.get(name, GREY)
    classes = {"class_names": tuple("abcdefghij")} if name == "fashion_mnist_cvae" else {}
    assert count(shipped(name, shape, **classes)) == by_hand
    assert published in (by_hand, None)


class TestA:
    """Convolutional autoencoder on Fashion-MNIST."""

    pooled = Pooled((32, 64, 128), GREY)

    def test_layers(self):
        assert letters(self.pooled.encoder()) == [
            (nn.Conv2d, 1, 32, 3, 1),
            nn.ReLU,
            nn.MaxPool2d,
            (nn.Conv2d, 32, 64, 3, 1),
            nn.ReLU,
            nn.MaxPool2d,
            (nn.Conv2d, 64, 128, 3, 1),
            nn.ReLU,
            nn.Flatten,
        ]
        assert letters(self.pooled.decoder(1)) == [
            nn.Unflatten,
            (nn.ConvTranspose2d, 128, 64, 3, 2),
            nn.ReLU,
            (nn.ConvTranspose2d, 64, 32, 3, 2),
            nn.ReLU,
            (nn.Conv2d, 32, 1, 3, 1),
        ]

    def test_feature_maps(self):
        maps = feature_maps(self.pooled.decoder(1), torch.rand(1, 6272))
        assert maps == [(64, 14, 14), (32, 28, 28), (1, 28, 28)]
        maps = feature_maps(self.pooled.encoder(), torch.rand(1, 1, 28, 28))
        assert maps == [(32, 28, 28), (64, 14, 14), (128, 7, 7)]

    def test_the_output_is_a_sigmoid(self):
        model = CAE(GREY)
        codes = torch.rand(2, 6272)
        assert torch.equal(model.decode(codes), torch.sigmoid(model.decoder(codes)))


class TestC:
    """ResVAE on CelebA 128x128."""

    def test_layers(self):
        model = ResVAE((3, 128, 128), latent_dim=128)
        stages = [(3, 32), (32, 64), (64, 128), (128, 256), (256, 512)]
        assert letters(model.encoder) == [
            layer
            for before, after in stages
            for layer in ((nn.Conv2d, before, after, 4, 2), nn.ReLU, ResidualBlock)
        ] + [nn.Flatten, nn.Linear]
        up = [(512, 256), (256, 128), (128, 64), (64, 32)]
        assert letters(model.decoder) == [nn.Linear, nn.Unflatten] + [
            layer
            for before, after in up
            for layer in ((nn.ConvTranspose2d, before, after, 4, 2), nn.ReLU, ResidualBlock)
        ] + [(nn.ConvTranspose2d, 32, 3, 4, 2)]

    def test_stages_end_at_about_four_pixels(self):
        for side, channels in [(64, [32, 64, 128, 256]), (28, [32, 64]), (4, [32])]:
            encoder = ResVAE((3, side, side), latent_dim=2).encoder
            maps = feature_maps(encoder, torch.rand(1, 3, side, side))
            assert [shape[0] for shape in maps] == channels
        wide = ResVAE((1, 28, 200), latent_dim=2).encoder
        assert feature_maps(wide, torch.rand(1, 1, 28, 200))[-1] == (64, 7, 50)

    def test_residual_block_is_the_formula(self):
        block = ResidualBlock(4)
        first, _, _, second, _ = block.residual
        x = torch.randn(2, 4, 5, 7)
        assert torch.equal(block(x), torch.relu(x + second(torch.relu(first(x)))))
        assert letters([first, second]) == [(nn.Conv2d, 4, 4, 3, 1)] * 2


class TestDCGAN:
    """Experiment E's on Fashion-MNIST to the letter, and the paper's layout."""

    e = DCGANNetworks((64, 128), 5, dropout=0.4, norm_start=False, norm_discriminator=False)
    paper = DCGANNetworks((128, 256, 512, 1024))

    def test_generator_of_experiment_e(self):
        generator = self.e.generator(GREY, 100)
        norm = 64 + 64
        assert count(generator) == dense(100, 6272) + conv(128, 64, 5) + norm + conv(64, 1, 5)
        assert feature_maps(generator, torch.randn(2, 100)) == [(64, 14, 14), (1, 28, 28)]
        assert letters(generator)[:-1] == [
            *(nn.Linear, nn.Unflatten),
            *((nn.ConvTranspose2d, 128, 64, 5, 2), nn.BatchNorm2d, nn.ReLU),
            (nn.ConvTranspose2d, 64, 1, 5, 2),
        ]

    def test_discriminator_of_experiment_e(self):
        discriminator = self.e.discriminator(GREY)
        assert count(discriminator) == conv(1, 64, 5) + conv(64, 128, 5) + dense(128 * 7 * 7, 1)
        assert letters(discriminator)[1:-1] == [
            *((nn.Conv2d, 1, 64, 5, 2), nn.LeakyReLU, nn.Dropout),
            *((nn.Conv2d, 64, 128, 5, 2), nn.LeakyReLU, nn.Dropout),
            *(nn.Flatten, nn.Linear),
        ]
        assert {layer.p for layer in discriminator if isinstance(layer, nn.Dropout)} == {0.4}
        leaky = [layer for layer in discriminator if isinstance(layer, nn.LeakyReLU)]
        assert {layer.negative_slope for layer in leaky} == {0.2}

    def test_networks_of_the_paper(self):
        generator = self.paper.generator(SMALL_FACES, 100)
        stage = [nn.BatchNorm2d, nn.ReLU, nn.ConvTranspose2d]
        assert [type(layer) for layer in generator][:-1] == [nn.Linear, nn.Unflatten, *4 * stage]
        assert feature_maps(generator, torch.randn(2, 100)) == [
            *((512, 8, 8), (256, 16, 16), (128, 32, 32), (3, 64, 64))
        ]
        stage = [nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU]
        assert [type(layer) for layer in self.paper.discriminator(SMALL_FACES)][1:-1] == [
            *(nn.Conv2d, nn.LeakyReLU, *3 * stage, nn.Flatten, nn.Linear)
        ]


def test_denoising_stack():
    model = shipped("fashion_mnist_stacked_dae")
    *encoder, selu = model.encoder
    assert letters([*encoder[0], selu]) == [
        *(nn.Flatten, nn.Linear, nn.SELU),
        *(nn.Linear, nn.SELU),
    ]
    assert letters(model.decoder) == [nn.Linear, nn.SELU, nn.Linear, nn.Unflatten]


def test_conv_mirrors_itself():
    architecture = Conv((8, 16), normalization=nn.BatchNorm2d)
    stage = [nn.BatchNorm2d, nn.ReLU]
    assert letters(architecture.encoder((3, 28, 28), 5)) == [
        (nn.Conv2d, 3, 8, 4, 2),
        *stage,
        (nn.Conv2d, 8, 16, 4, 2),
        *stage,
        nn.Flatten,
        nn.Linear,
    ]
    assert letters(architecture.decoder((3, 28, 28), 5, 2)) == [
        nn.Linear,
        nn.Unflatten,
        *stage,
        (nn.ConvTranspose2d, 16, 8, 4, 2),
        *stage,
        (nn.ConvTranspose2d, 8, 6, 4, 2),
    ]
