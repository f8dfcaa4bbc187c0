"""The networks of the experiments to the letter: layers, and parameters counted by hand."""

import itertools
from pathlib import Path

import torch
import yaml
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import instantiate_module
from torch import nn

from lightning_gen.models import CAE, VAE, ResVAE
from lightning_gen.networks import Conv, Dense, Pooled
from lightning_gen.networks.residual import ResidualBlock

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


class TestA:
    """Convolutional autoencoder on Fashion-MNIST."""

    pooled = Pooled((32, 64, 128), (1, 28, 28))
    small = Pooled((32, 64, 128, 2), (1, 28, 28))

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

    def test_code_shapes(self):
        assert self.pooled.code_shape == (128, 7, 7)
        assert self.small.code_shape == (2, 4, 4)
        images = torch.rand(2, 1, 28, 28)
        assert self.pooled.encoder()(images).shape == (2, 6272)
        assert self.small.encoder()(images).shape == (2, 32)

    def test_feature_maps(self):
        maps = feature_maps(self.pooled.decoder(1), torch.rand(1, 6272))
        assert maps == [(64, 14, 14), (32, 28, 28), (1, 28, 28)]
        maps = feature_maps(self.pooled.encoder(), torch.rand(1, 1, 28, 28))
        assert maps == [(32, 28, 28), (64, 14, 14), (128, 7, 7)]

    def test_parameters(self):
        assert count(self.pooled.encoder()) == (
            (1 * 32 * 9 + 32) + (32 * 64 * 9 + 64) + (64 * 128 * 9 + 128)
        )
        assert count(self.pooled.decoder(1)) == (
            (128 * 64 * 9 + 64) + (64 * 32 * 9 + 32) + (32 * 1 * 9 + 1)
        )
        assert count(CAE((1, 28, 28))) == 92_672 + 92_545

    def test_parameters_of_the_shipped_experiments(self):
        up = conv(128, 64, 3) + conv(64, 32, 3) + conv(32, 1, 3)
        down = conv(1, 32, 3) + conv(32, 64, 3) + conv(64, 128, 3)
        assert count(shipped("fashion_mnist_cae")) == down + up == 185_217
        assert count(shipped("fashion_mnist_denoising_cae")) == down + up
        bottleneck = conv(128, 2, 3) + conv(2, 128, 3)  # 7x7x128 -> 4x4x2 -> 7x7x128
        assert count(shipped("fashion_mnist_cae_bottleneck")) == down + bottleneck + up == 189_955

    def test_the_output_is_a_sigmoid(self):
        model = CAE((1, 28, 28))
        codes = torch.rand(2, 6272)
        assert torch.equal(model.decode(codes), torch.sigmoid(model.decoder(codes)))


class TestB:
    """VAE against AE on Fashion-MNIST, two latent dimensions."""

    down = conv(1, 32, 4) + conv(32, 64, 4)  # 28 -> 14 -> 7
    up = dense(2, 64 * 7 * 7) + conv(64, 32, 4) + conv(32, 1, 4)

    def test_parameters(self):
        autoencoder = self.down + dense(64 * 7 * 7, 2) + self.up
        assert count(shipped("fashion_mnist_ae_2d")) == autoencoder == 82_371
        variational = self.down + 2 * dense(64 * 7 * 7, 2) + self.up  # two heads
        assert count(shipped("fashion_mnist_vae_2d")) == variational == 88_645


class TestD:
    """The course project on MNIST, Fashion-MNIST and CelebA 64x64."""

    def test_basic_vae(self):
        encoder = dense(784, 400) + 2 * dense(400, 20)
        assert count(shipped("mnist_dense_vae")) == encoder + dense(20, 400, 784) == 652_824

    def test_convolutional_vae(self):
        stages = conv(1, 32, 4) + conv(32, 64, 4) + conv(64, 128, 4)  # 28 -> 14 -> 7 -> 3
        mirror = conv(128, 64, 4) + conv(64, 32, 4) + conv(32, 1, 4)
        flat = 128 * 3 * 3
        expected = stages + 2 * dense(flat, 20) + dense(20, flat) + mirror
        assert count(shipped("fashion_mnist_conv_vae")) == expected == 399_337

    def test_beta_vae_on_faces(self):
        stages = conv(3, 32, 4) + conv(32, 64, 4) + conv(64, 128, 4) + conv(128, 256, 4)
        mirror = conv(256, 128, 4) + conv(128, 64, 4) + conv(64, 32, 4) + conv(32, 3, 4)
        flat = 256 * 4 * 4
        expected = stages + 2 * dense(flat, 100) + dense(100, flat) + mirror
        assert count(shipped("celeba_beta_vae", SMALL_FACES)) == expected == 2_613_131

    def test_conditional_vae(self):
        """A plane for each class into the encoder, ten more inputs of the decoder."""
        encoder = conv(1 + 10, 32, 4) + conv(32, 64, 4) + 2 * dense(64 * 7 * 7, 10)
        mirror = conv(64, 32, 4) + conv(32, 2, 4)  # location and scale of each pixel
        names = tuple("abcdefghij")
        model = shipped("fashion_mnist_cvae", class_names=names)
        assert count(model) == encoder + dense(10 + 10, 64 * 7 * 7) + mirror == 200_918


class TestC:
    """ResVAE on CelebA 128x128."""

    def test_parameters(self):
        model = ResVAE((3, 128, 128), latent_dim=128)

        def block(c):
            return 2 * (c * c * 9 + c)

        assert count(model.encoder) == (
            (3 * 32 * 16 + 32 + block(32))
            + (32 * 64 * 16 + 64 + block(64))
            + (64 * 128 * 16 + 128 + block(128))
            + (128 * 256 * 16 + 256 + block(256))
            + (256 * 512 * 16 + 512 + block(512))
            + 2 * (512 * 4 * 4 * 128 + 128)  # two linear heads
        )
        assert count(model.decoder) == (
            (128 * 512 * 4 * 4 + 512 * 4 * 4)
            + (512 * 256 * 16 + 256 + block(256))
            + (256 * 128 * 16 + 128 + block(128))
            + (128 * 64 * 16 + 64 + block(64))
            + (64 * 32 * 16 + 32 + block(32))
            + (32 * 3 * 16 + 3)
        )
        assert count(shipped("celeba_res_vae", FACES)) == count(model)

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
        for side, channels in [
            (128, [32, 64, 128, 256, 512]),
            (64, [32, 64, 128, 256]),
            (28, [32, 64]),
            (4, [32]),
        ]:
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


class TestE:
    """Denoising stack, dense VAE and DCGAN on Fashion-MNIST."""

    def test_denoising_stack(self):
        model = shipped("fashion_mnist_stacked_dae")
        assert count(model) == dense(784, 100, 30) + dense(30, 100, 784) == 163_814
        *encoder, selu = model.encoder
        assert letters([*encoder[0], selu]) == [
            *(nn.Flatten, nn.Linear, nn.SELU),
            *(nn.Linear, nn.SELU),
        ]
        assert letters(model.decoder) == [nn.Linear, nn.SELU, nn.Linear, nn.Unflatten]

    def test_parameters(self):
        model = VAE((1, 28, 28), latent_dim=10, architecture=Dense((150, 100)))
        assert count(model.encoder) == (
            (784 * 150 + 150) + (150 * 100 + 100) + 2 * (100 * 10 + 10)  # two heads
        )
        assert count(model.decoder) == ((10 * 100 + 100) + (100 * 150 + 150) + (150 * 784 + 784))
        expected = dense(784, 150, 100) + 2 * dense(100, 10) + dense(10, 100, 150, 784)
        assert count(shipped("fashion_mnist_dense_vae")) == expected == 269_504


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
