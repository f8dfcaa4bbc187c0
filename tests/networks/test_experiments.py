"""The networks of the experiments to the letter: layers, and parameters counted by hand."""

import itertools
from pathlib import Path

import pytest
import torch
import yaml
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import instantiate_module
from torch import nn

from lightning_gen.models import ResVAE
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
    shapes = []
    for layer in module:
        x = layer(x)
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            shapes.append(tuple(x.shape[1:]))
    return shapes


PARAMETERS = {
    "fashion_mnist_cae": 185_217,
    "fashion_mnist_denoising_cae": 185_217,
    "fashion_mnist_cae_bottleneck": 189_955,
    "fashion_mnist_ae_2d": 82_371,
    "fashion_mnist_vae_2d": 88_645,
    "mnist_dense_vae": 652_824,
    "fashion_mnist_conv_vae": 399_337,
    "celeba_beta_vae": 2_613_131,
    "fashion_mnist_cvae": 200_918,
    "celeba_res_vae": 16_584_259,
    "fashion_mnist_stacked_dae": 163_814,
    "fashion_mnist_dense_vae": 269_504,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_of_the_shipped_experiments(name):
    shape = {"celeba_beta_vae": SMALL_FACES, "celeba_res_vae": FACES}.get(name, GREY)
    classes = {"class_names": tuple("abcdefghij")} if name == "fashion_mnist_cvae" else {}
    assert count(shipped(name, shape, **classes)) == PARAMETERS[name]


class TestA:
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


class TestC:
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


class TestDCGAN:
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
