import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lightning_gen.objectives import (
    R1,
    R1R2,
    R2,
    GradientPenalty,
    Hinge,
    LeastSquares,
    NonSaturating,
    Relativistic,
    Wasserstein,
)
from support.refusals import assert_refused

REAL = torch.tensor([2.0, -1.0, 0.5])
FAKE = torch.tensor([-3.0, 0.2, 1.5])
OBJECTIVES = [NonSaturating(), Hinge(), Wasserstein(), LeastSquares(), Relativistic()]


def test_non_saturating_is_binary_cross_entropy():
    ones, zeros = torch.ones(3), torch.zeros(3)
    real = F.binary_cross_entropy(torch.sigmoid(REAL), ones)
    fake = F.binary_cross_entropy(torch.sigmoid(FAKE), zeros)
    torch.testing.assert_close(NonSaturating().discriminator(REAL, FAKE), real + fake)
    fooled = F.binary_cross_entropy(torch.sigmoid(FAKE), ones)
    torch.testing.assert_close(NonSaturating().generator(FAKE), fooled)


def test_non_saturating_is_finite_for_any_score():
    far = torch.tensor([-1e4, 1e4])
    assert NonSaturating().discriminator(far, far).item() == pytest.approx(1e4)
    assert NonSaturating().generator(far).item() == pytest.approx(5e3)


def test_hinge_by_hand():
    # real: 0, 2, 0.5; fake: 0, 1.2, 2.5
    assert Hinge().discriminator(REAL, FAKE).item() == pytest.approx((2.5 + 3.7) / 3)
    assert Hinge().generator(FAKE).item() == pytest.approx(1.3 / 3)


def test_wasserstein_by_hand():
    assert Wasserstein().discriminator(REAL, FAKE).item() == pytest.approx((-1.3 - 1.5) / 3)
    assert Wasserstein().generator(FAKE).item() == pytest.approx(1.3 / 3)


def test_least_squares_by_hand():
    # real - 1: 1, -2, -0.5; fake: -3, 0.2, 1.5; fake - 1: -4, -0.8, 0.5
    expected = ((1 + 4 + 0.25) + (9 + 0.04 + 2.25)) / 6
    assert LeastSquares().discriminator(REAL, FAKE).item() == pytest.approx(expected)
    assert LeastSquares().generator(FAKE).item() == pytest.approx((16 + 0.64 + 0.25) / 6)


def test_relativistic_pairs_are_a_classification_of_differences():
    ones, zeros = torch.ones(3), torch.zeros(3)
    loss = F.binary_cross_entropy_with_logits
    torch.testing.assert_close(Relativistic().discriminator(REAL, FAKE), loss(REAL - FAKE, ones))
    torch.testing.assert_close(Relativistic().generator(FAKE, REAL), loss(REAL - FAKE, zeros))
    assert_refused("compares with real images", Relativistic().generator, FAKE)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_losses_are_float32_and_reach_all_scores(objective):
    real, fake = (scores.bfloat16().requires_grad_() for scores in (REAL, FAKE))
    losses = objective.discriminator(real, fake), objective.generator(fake, real)
    seen = [fake, real] if objective.compares else [fake]
    for loss, scores in zip(losses, ([real, fake], seen), strict=True):
        assert loss.dtype == torch.float32
        assert all(gradient.any() for gradient in torch.autograd.grad(loss, scores))


PENALTIES = [R1, R2, R1R2, GradientPenalty]


@pytest.fixture
def real():
    return torch.rand(6, 2, 3, 4)


@pytest.fixture
def fake():
    return torch.rand(6, 2, 3, 4)


def linear(weight):
    return lambda images: (images * weight).flatten(1).sum(dim=1)


def bowl(images):
    """Its gradient is the image itself."""
    return images.square().flatten(1).sum(dim=1) / 2


def test_linear_discriminator(real, fake):
    weight = torch.randn(2, 3, 4)
    norm = weight.square().sum().sqrt().item() / 2  # with respect to images in [-1, 1]
    for kind, times in ((R1, 1), (R2, 1), (R1R2, 2)):
        penalty = kind(3.0)(linear(weight), real, fake)
        assert penalty.item() == pytest.approx(times * 1.5 * norm**2)
    penalty = GradientPenalty(3.0)(linear(weight), real, fake)
    assert penalty.item() == pytest.approx(3 * (norm - 1) ** 2)


def test_quadratic_discriminator(real, fake):
    squared = sum(image.square().sum().item() for image in real) / 6
    for generated in (fake, torch.zeros_like(fake)):  # R1 sees real images alone
        assert R1(10.0)(bowl, real, generated).item() == pytest.approx(5 * squared / 4)
        assert R2(10.0)(bowl, generated, real).item() == pytest.approx(5 * squared / 4)
    assert R1R2(10.0)(bowl, real, real).item() == pytest.approx(2 * 5 * squared / 4)
    # All interpolates are the same where real and generated images are.
    norms = [image.square().sum().sqrt().item() for image in real]
    expected = 10 * sum((norm / 2 - 1) ** 2 for norm in norms) / 6
    assert GradientPenalty(10.0)(bowl, real, real).item() == pytest.approx(expected)


def test_interpolates_lie_on_the_line_at_places_of_their_own(real, fake):
    seen = []

    def look(images):
        seen.append(images.detach())
        return bowl(images)

    GradientPenalty()(look, real, fake)
    places = ((seen[0] - fake) / (real - fake)).flatten(1)
    torch.testing.assert_close(places, places[:, :1].expand_as(places), atol=1e-3, rtol=0)
    assert places.min() > -1e-3
    assert places.max() < 1 + 1e-3
    assert places[:, 0].std() > 0.1


@pytest.mark.parametrize("kind", PENALTIES)
def test_the_gradient_reaches_the_weights(kind, real, fake):
    """By hand for w.x, whose gradient is w / 2 where images are in [-1, 1]."""
    weight = torch.randn(2, 3, 4, requires_grad=True)
    kind(3.0)(linear(weight), real, fake).backward()
    unit = weight.detach() / weight.detach().norm()
    length = weight.detach().norm()
    slopes = {R1: 0.75 * length, R2: 0.75 * length, R1R2: 1.5 * length}
    expected = (slopes | {GradientPenalty: 3 * (length / 2 - 1)})[kind] * unit
    torch.testing.assert_close(weight.grad, expected)


@pytest.mark.parametrize("kind", PENALTIES)
def test_neither_images_nor_the_generator_get_a_gradient(kind, real, fake):
    real.requires_grad_()
    fake.requires_grad_()
    weight = torch.randn(2, 3, 4, requires_grad=True)
    kind()(linear(weight), real, fake).backward()
    assert real.grad is None
    assert fake.grad is None


@pytest.mark.parametrize("kind", PENALTIES)
def test_a_flat_discriminator_has_a_finite_gradient(kind, real, fake):
    weight = torch.zeros(2, 3, 4, requires_grad=True)
    kind()(linear(weight), real, fake).backward()
    assert torch.isfinite(weight.grad).all()


@pytest.mark.parametrize("kind", PENALTIES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_changes_nothing(kind, dtype, real, fake):
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.LeakyReLU(0.2), nn.Flatten(0, -1))

    def judge(images):
        assert not torch.is_autocast_enabled("cpu")
        return network(images).view(len(images), -1).sum(dim=1) * 1e-7  # float16 ends at 6e-8

    found = []
    for enabled in (False, True):
        network.zero_grad()
        torch.manual_seed(1)
        with torch.autocast("cpu", dtype, enabled=enabled):
            penalty = kind()(judge, real, fake)
        penalty.backward()
        found.append((penalty.detach(), network[0].weight.grad.clone()))
    assert found[0][0] > 0
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


@pytest.mark.parametrize("kind", PENALTIES)
@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_weight(kind, weight):
    assert_refused(rf"{kind.__name__}.weight is above 0", kind, weight)
    assert_refused(rf"{kind.__name__}.every is at least 1", kind, every=0)
