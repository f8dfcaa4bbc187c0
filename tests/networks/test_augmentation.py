import pytest
import torch
import torch.nn.functional as F

from lightning_gen.models import DCGAN
from lightning_gen.models.gan import PlayerTerms
from lightning_gen.networks import DCGANNetworks, DiffAugment
from lightning_gen.networks.augmentation import GREY, change_color, hide, shift
from support.models import batch_of
from support.refusals import assert_refused

NO_TERMS = PlayerTerms(torch.zeros(()), {})
IMAGES = torch.rand(6, 3, 9, 7, generator=torch.Generator().manual_seed(0))


def test_shifted_images_are_padded_ones_that_are_cut_out():
    down, right = torch.tensor([0, 2, -2, 1, 0, -1]), torch.tensor([0, -1, 3, 0, -3, 1])
    moved = shift(IMAGES, down, right)
    for image, result, rows, columns in zip(IMAGES, moved, down, right, strict=True):
        padded = F.pad(image, (3, 3, 3, 3), value=GREY)
        expected = padded[:, 3 - rows : 12 - rows, 3 - columns : 10 - columns]
        assert torch.equal(result, expected)


def test_a_rectangle_hides_all_channels_and_may_reach_out():
    firsts = [torch.tensor([-2, 3, 7, 0, 0, 0]), torch.tensor([-1, 2, 6, 0, 0, 0])]
    hidden = hide(IMAGES, firsts, [4, 3])
    covered = (hidden != IMAGES).all(dim=1)
    assert covered.sum(dim=(1, 2)).tolist() == [2 * 2, 4 * 3, 2 * 1, 12, 12, 12]
    assert covered[1, 3:7, 2:5].all()
    assert (hidden[:, :, 0, 0][3:] == GREY).all()


def test_colours_are_the_paper_s_formulas():
    """In [-1, 1] they are x + (r - 0.5), m + 2 r (x - m) and m + (r + 0.5) (x - m)."""
    numbers = torch.rand(3, 6, 1, 1, 1)
    brightness, saturation, contrast = numbers
    x = 2 * IMAGES - 1 + brightness - 0.5
    grey = x.mean(dim=1, keepdim=True)
    x = grey + 2 * saturation * (x - grey)
    level = x.mean(dim=(1, 2, 3), keepdim=True)
    x = level + (contrast + 0.5) * (x - level)
    torch.testing.assert_close(change_color(IMAGES, *numbers), (x + 1) / 2)


def test_a_grey_image_has_no_saturation():
    grey = IMAGES[:, :1]
    ones = torch.full((6, 1, 1, 1), 0.5)
    torch.testing.assert_close(change_color(grey, ones, torch.zeros_like(ones), ones), grey)


@pytest.mark.parametrize("part", ["color", "translation", "cutout"])
def test_each_change_is_of_one_kind_and_each_image_has_its_own(part):
    off = {"color": False, "translation": 0.0, "cutout": 0.0}
    on = {name: value for name, value in vars(DiffAugment()).items() if name == part}
    same = IMAGES[:1].expand(50, -1, -1, -1)
    torch.manual_seed(1)
    changed = DiffAugment(**off | on)(same)
    assert len(changed.unique(dim=0)) >= 9  # shifts of a pixel in each direction
    assert torch.equal(DiffAugment(**off)(same), same)
    if part == "cutout":  # 5 rows of 9 and 4 columns of 7, of which an edge may lie outside
        sizes = (changed == GREY).all(dim=1).sum(dim=(1, 2))
        assert sizes.max() == 20
        assert sizes.min() >= 3 * 2


def test_gradients_pass_and_random_numbers_are_torch_s():
    images = IMAGES.clone().requires_grad_()
    torch.manual_seed(0)
    DiffAugment()(images).sum().backward()
    assert images.grad.abs().sum() > 0
    torch.manual_seed(0)
    first = DiffAugment()(IMAGES)
    torch.manual_seed(0)
    assert torch.equal(DiffAugment()(IMAGES), first)


def test_a_discriminator_sees_changed_images_of_both_kinds_in_training_alone(monkeypatch):
    model = DCGAN((3, 9, 7), 3, DCGANNetworks((4, 8)), augment=DiffAugment(cutout=0.0))
    seen, batch = [], batch_of(IMAGES)
    monkeypatch.setattr(model, "_score", lambda _, images: seen.append(images) or images.sum())
    made = []
    monkeypatch.setattr(model, "decode", lambda codes: made.append(IMAGES * 0.5) or made[-1])
    for step in (0, None):
        with torch.no_grad(), monkeypatch.context() as patch:
            patch.setattr("lightning_gen.models.dcgan.judge", lambda *_, **scores: NO_TERMS)
            model.discriminator_terms(batch, step)
    changed_real, changed_fake, real, fake = seen
    assert torch.equal(real, IMAGES)
    assert torch.equal(fake, IMAGES * 0.5)
    assert not torch.equal(changed_real, real)
    assert not torch.equal(changed_fake, fake)


@pytest.mark.parametrize("part", ["translation", "cutout"])
@pytest.mark.parametrize("value", [-0.1, 1.0])
def test_a_share_that_is_none_is_refused(part, value):
    assert_refused(f"DiffAugment.{part} is a share", DiffAugment, **{part: value})
