import pytest
import torch
import torch.nn.functional as F

from lightning_gen.objectives import Hinge, NonSaturating, Wasserstein

REAL = torch.tensor([2.0, -1.0, 0.5])
FAKE = torch.tensor([-3.0, 0.2, 1.5])
OBJECTIVES = [NonSaturating(), Hinge(), Wasserstein()]


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


def gradients(loss, *scores):
    leaves = [score.clone().requires_grad_() for score in scores]
    loss(*leaves).backward()
    return [leaf.grad * 3 for leaf in leaves]


def test_gradients_by_hand():
    # d softplus(-s)/ds = -sigmoid(-s); the factor 3 undoes the mean.
    real, fake = gradients(NonSaturating().discriminator, REAL, FAKE)
    torch.testing.assert_close(real, -1 / (1 + REAL.exp()))
    torch.testing.assert_close(fake, 1 / (1 + (-FAKE).exp()))
    [fooled] = gradients(NonSaturating().generator, FAKE)
    torch.testing.assert_close(fooled, -1 / (1 + FAKE.exp()))
    real, fake = gradients(Hinge().discriminator, REAL, FAKE)
    assert real.tolist() == [0, -1, -1]
    assert fake.tolist() == [0, 1, 1]
    real, fake = gradients(Wasserstein().discriminator, REAL, FAKE)
    assert (real.tolist(), fake.tolist()) == ([-1] * 3, [1] * 3)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_players_pull_in_opposite_directions(objective):
    real, fake = gradients(objective.discriminator, REAL, FAKE)
    [fooled] = gradients(objective.generator, FAKE)
    assert (real <= 0).all()
    assert (fake >= 0).all()
    assert (fooled < 0).all()


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_losses_are_float32(objective):
    real, fake = REAL.bfloat16(), FAKE.bfloat16()
    assert objective.discriminator(real, fake).dtype == torch.float32
    assert objective.generator(fake).dtype == torch.float32
