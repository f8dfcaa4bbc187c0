import math

import mpmath
import pytest
import torch
import torch.nn.functional as F
from torch import distributions as D
from torch.testing import assert_close

from lightning_gen.objectives import Bernoulli, DiscretizedLogistic, Gaussian
from support.refusals import assert_refused

GREY = torch.arange(256) / 255


def summed(log_probs):
    return log_probs.flatten(1).sum(dim=1)


@pytest.fixture
def images():
    return torch.randint(0, 256, (5, 3, 6, 7)) / 255


class TestBernoulli:
    @pytest.mark.parametrize("grey", [0.0, 0.3, 1.0])
    def test_a_pixel_is_off_by_less_than_a_millionth(self, grey):
        logits = torch.linspace(-60, 60, 100_001).view(-1, 1, 1, 1)
        images = torch.full_like(logits, grey)
        nats = F.binary_cross_entropy_with_logits(
            logits.double(), images.double(), reduction="none"
        )
        found = -Bernoulli().log_prob(logits, images).double()
        assert_close(found, nats.flatten(), rtol=1e-6, atol=1e-6)

    def test_gradients_are_those_of_the_cross_entropy(self, images):
        logits = (4 * torch.randn(images.shape)).requires_grad_()
        images.requires_grad_()
        weights = torch.rand(len(images))
        nats = F.binary_cross_entropy_with_logits(
            logits.double(), images.double(), reduction="none"
        )
        expected = torch.autograd.grad(-(weights * summed(nats)).sum(), (logits, images))
        found = (weights * Bernoulli().log_prob(logits, images)).sum()
        assert_close(torch.autograd.grad(found, (logits, images)), expected)

    def test_saturated_logits_are_finite(self, images):
        for extreme in (-1e4, 1e4):
            logits = torch.full(images.shape, extreme, requires_grad=True)
            Bernoulli().log_prob(logits, images).sum().backward()
            assert_close(logits.grad, images - float(extreme > 0))

    def test_image_is_the_mean(self, images):
        logits = torch.randn(images.shape)
        assert_close(Bernoulli().image(logits), D.Bernoulli(logits=logits).mean)


class TestGaussian:
    @pytest.mark.parametrize("sigma", [0.01, 0.3, 1.0, 5.0])
    @pytest.mark.parametrize("learned", [False, True])
    @pytest.mark.parametrize("bounded", [False, True])
    def test_density(self, images, sigma, learned, bounded):
        params = torch.randn(images.shape)
        mean = torch.sigmoid(params) if bounded else params
        likelihood = Gaussian(sigma, learned, bounded)
        expected = summed(D.Normal(mean, sigma).log_prob(images))
        assert_close(likelihood.log_prob(params, images), expected)
        assert_close(likelihood.image(params), mean.clamp(0, 1))
        assert len([*likelihood.parameters()]) == int(learned)

    def test_fixed_sigma_stays_out_of_the_checkpoint(self):
        assert Gaussian().state_dict() == {}
        assert [*Gaussian(learned=True).state_dict()] == ["log_sigma"]

    @pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan, math.inf])
    def test_bad_sigma(self, sigma):
        assert_refused(rf"sigma .* got {sigma}", Gaussian, sigma)


class TestDiscretizedLogistic:
    @staticmethod
    def log_probs(location, log_scale):
        """Of the 256 grey levels at one pixel."""
        params = torch.tensor([location, log_scale]).view(1, 2, 1, 1).expand(256, -1, -1, -1)
        return DiscretizedLogistic().log_prob(params, GREY.view(256, 1, 1, 1))

    @staticmethod
    def exact(level, location, log_scale):
        """log of the mass of the bin by differences of the CDF, digits enough for tails."""
        with mpmath.workdps(2000):
            half = mpmath.mpf(1) / 510
            x = mpmath.mpf(level) / 255
            scale = mpmath.exp(mpmath.mpf(max(log_scale, -7.0)))

            def cdf(y):
                return 1 / (1 + mpmath.exp(-(y - mpmath.mpf(location)) / scale))

            upper = mpmath.mpf(1) if level == 255 else cdf(x + half)
            lower = mpmath.mpf(0) if level == 0 else cdf(x - half)
            return float(mpmath.log(upper - lower))

    @pytest.mark.parametrize("log_scale", [-30.0, -7.0, -2.5, 0.0, 30.0])
    @pytest.mark.parametrize("location", [-30.0, -0.2, 0.0, 0.73, 1.2, 30.0])
    def test_probabilities_sum_to_one(self, location, log_scale):
        total = self.log_probs(location, log_scale).double().exp().sum().item()
        within = -0.2 <= location <= 1.2 and -5 <= log_scale <= 1
        assert total == pytest.approx(1, abs=1e-4 if within else 2e-3)

    # Numbers that float32 holds exactly, so that only the formula is compared.
    @pytest.mark.parametrize("location", [-2.0, 0.0, 0.3125, 1.0, 3.0])
    @pytest.mark.parametrize("log_scale", [-9.0, -4.125, 0.0, 4.0])
    def test_mass_of_a_bin(self, location, log_scale):
        found = self.log_probs(location, log_scale)
        for level in (0, 1, 80, 254, 255):
            exact = self.exact(level, location, log_scale)
            assert found[level].item() == pytest.approx(exact, rel=1e-3, abs=1e-3)

    @pytest.mark.parametrize("log_scale", [-1e4, -7.0, 7.0, 87.0, 1e4])
    @pytest.mark.parametrize("location", [-1e4, 0.0, 0.5, 1.0, 1e4])
    def test_gradients_are_finite(self, location, log_scale):
        params = torch.tensor([location, log_scale]).view(1, 2, 1, 1).repeat(256, 1, 1, 1)
        params.requires_grad_()
        nats = -DiscretizedLogistic().log_prob(params, GREY.view(256, 1, 1, 1))
        nats.sum().backward()
        assert torch.isfinite(nats).all()
        assert torch.isfinite(params.grad).all()

    @pytest.mark.parametrize("location", [-0.3, 0.4, 1.0])
    @pytest.mark.parametrize("log_scale", [-6.0, 0.0, 3.0])
    def test_gradients_against_finite_differences(self, location, log_scale):
        levels = [0, 1, 100, 254, 255]
        params = torch.tensor([location, log_scale]).view(1, 2, 1, 1).repeat(5, 1, 1, 1)
        params.requires_grad_()
        DiscretizedLogistic().log_prob(params, GREY[levels].view(5, 1, 1, 1)).sum().backward()
        for level, found in zip(levels, params.grad.flatten(1).tolist(), strict=True):
            step = 2.0**-12
            expected = []
            for x, y in ((step, 0), (0, step)):
                above = self.exact(level, location + x, log_scale + y)
                below = self.exact(level, location - x, log_scale - y)
                expected.append((above - below) / (2 * step))
            assert found == pytest.approx(expected, rel=2e-2, abs=2e-2)

    def test_sums_over_pixels_and_splits_channels(self, images):
        images = images[:2, :, :3, :3]
        location, log_scale = torch.rand(images.shape), -2 * torch.rand(images.shape)
        log_prob = DiscretizedLogistic().log_prob(torch.cat([location, log_scale], 1), images)
        expected = [
            sum(map(self.exact, (255 * x).round().tolist(), m.tolist(), s.tolist()))
            for x, m, s in zip(
                images.flatten(1), location.flatten(1), log_scale.flatten(1), strict=True
            )
        ]
        assert_close(log_prob, torch.tensor(expected), rtol=1e-4, atol=0)

    def test_image_is_the_location(self, images):
        location = 2 * torch.randn(images.shape)
        params = torch.cat([location, torch.randn(images.shape)], 1)
        assert_close(DiscretizedLogistic().image(params), location.clamp(0, 1))
