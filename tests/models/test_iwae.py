import pytest
import torch

from lightning_gen.contracts import EstimatesLikelihood, able, condition_on
from lightning_gen.models import CVAE, IWAE, VAE, VQVAE, HierarchicalVAE, InfoVAE
from lightning_gen.networks import Dense
from lightning_gen.objectives import Gaussian
from lightning_gen.objectives.posterior import bound_in_parts
from support.models import batch_of, build, terms_of, tiny

IMAGES = torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0)).round()


def test_the_loss_is_below_the_negative_elbo_and_equal_for_one_draw():
    terms = terms_of(tiny(IWAE, num_samples=20), IMAGES)
    assert terms["loss"] < terms["negative_elbo"]
    terms = terms_of(tiny(IWAE, num_samples=1), IMAGES)
    assert terms["loss"].item() == pytest.approx(terms["negative_elbo"].item())


def test_the_gradient_weighs_each_draw_by_its_normalised_weight():
    model = tiny(IWAE, num_samples=4)
    torch.manual_seed(0)
    log_weights = model.log_weights(IMAGES, 4)
    weights = log_weights.softmax(dim=0).detach()
    (-(weights * log_weights).sum(dim=0).mean()).backward()
    expected = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    torch.manual_seed(0)
    terms_of(model, IMAGES)["loss"].backward()
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-4)


def test_decoder_and_encoder_have_bounds_of_their_own():
    """PIWAE (Rainforth et al. 2018, section 6): each the gradient of its own bound."""

    def gradients(part, **options):
        torch.manual_seed(3)
        model = tiny(IWAE, **options)
        torch.manual_seed(4)
        loss = terms_of(model, IMAGES)["loss"]
        loss.backward()
        return loss, [p.grad for p in getattr(model, part).parameters()]

    options = {"num_samples": 3, "num_bounds": 4, "elbo_share": 0.2}
    whole, decoder = gradients("decoder", num_samples=12)
    _, encoder = gradients("encoder", **options)
    for part, expected in (("decoder", decoder), ("encoder", encoder)):
        loss, found = gradients(part, encoder_only=True, **options)
        assert loss.item() == pytest.approx(whole.item())
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        torch.manual_seed(4)
        assert terms_of(tiny(IWAE, encoder_only=True), IMAGES)["loss"].isfinite()


@pytest.mark.parametrize("kind", [VAE, IWAE, InfoVAE, CVAE, VQVAE, HierarchicalVAE])
def test_the_mean_log_weight_is_the_elbo(kind):
    model = build(kind)
    batch = batch_of(IMAGES)
    assert able(model, (EstimatesLikelihood,))
    with torch.no_grad():
        elbo = condition_on(model, batch).log_weights(IMAGES, 200).mean().item()
    terms = model.terms(batch, IMAGES)
    if kind is IWAE:
        expected = -terms["negative_elbo"]
    elif kind is VQVAE:
        expected = -terms["loss"]
    else:
        expected = -terms["reconstruction"] - terms["kl"]
    assert elbo == pytest.approx(expected.item(), rel=0.01)


class LinearGaussian(VAE):
    """z ~ N(0, I), x = W z + sigma e, with a posterior that is only nearly right."""

    def __init__(self, sigma):
        likelihood = Gaussian(sigma=sigma, bounded=False)
        super().__init__((1, 2, 3), 2, Dense(()), likelihood=likelihood)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            self.decoder[0].weight.copy_(torch.randn(6, 2, generator=generator))
            self.decoder[0].bias.zero_()
            weight = self.decoder[0].weight
            precision = torch.eye(2) + weight.T @ weight / sigma**2
            exact = torch.linalg.solve(precision, weight.T) / sigma**2
            head = self.encoder[1]
            head.weight[:2].copy_(0.9 * exact)
            head.weight[2:].zero_()
            head.bias[:2].zero_()
            head.bias[2:].copy_(precision.inverse().diagonal().log() + 0.5)

    def evidence(self, images):
        weight = self.decoder[0].weight
        covariance = weight @ weight.T + self.likelihood.sigma**2 * torch.eye(6)
        normal = torch.distributions.MultivariateNormal(torch.zeros(6), covariance)
        return normal.log_prob(images.flatten(1))


@torch.no_grad()
def test_the_bound_converges_from_below_to_the_closed_form_of_a_linear_vae():
    model = LinearGaussian(sigma=0.5)
    latents = torch.randn(2000, 2)
    noise = 0.5 * torch.randn(2000, 1, 2, 3)
    images = model.decoder(latents) + noise
    exact = model.evidence(images).mean().item()
    bounds = {
        k: bound_in_parts(lambda count: model.log_weights(images, count), k, 20).mean().item()
        for k in (1, 10, 100, 1000)
    }
    values = list(bounds.values())
    assert values == sorted(values)
    assert values[0] < exact - 0.2
    assert values[-1] == pytest.approx(exact, abs=0.02)
    assert values[-1] < exact + 0.01
