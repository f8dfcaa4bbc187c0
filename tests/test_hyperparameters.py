from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import StepLR

from lightning_gen import models, networks
from lightning_gen.contracts import ImageShape
from lightning_gen.hyperparameters import plain
from lightning_gen.objectives import ELBO, R1, DiscretizedLogistic, Gaussian, Hinge
from lightning_gen.priors import Autoregressive
from support.models import KINDS, build, loader_of, terms_of, trainer_of
from support.refusals import assert_refused

SHAPE = (1, 12, 10)
OPTIMIZER = partial(SGD, lr=0.1, momentum=0.5)

# Arguments that all differ from the defaults.
GIVEN = {
    models.AE: {
        "latent_dim": 3,
        "architecture": networks.Conv((4,), nn.SELU, nn.BatchNorm2d),
        "likelihood": Gaussian(0.3, learned=True, bounded=False),
        "optimizer": OPTIMIZER,
        "lr_scheduler": partial(StepLR, step_size=2),
    },
    models.CAE: {"widths": (3, 2), "likelihood": Gaussian(0.2), "optimizer": OPTIMIZER},
    models.VAE: {
        "latent_dim": 3,
        "architecture": networks.Dense((8, 7), nn.Tanh, nn.LayerNorm),
        "likelihood": DiscretizedLogistic(),
        "objective": ELBO(2.0, 7, 0.5),
        "optimizer": OPTIMIZER,
    },
    models.BetaVAE: {"latent_dim": 3, "beta": 7.0, "architecture": networks.Residual((4,))},
    models.ResVAE: {
        "latent_dim": 3,
        "objective": ELBO(0.5),
        "corruption": networks.SaltAndPepper(0.1),
    },
    models.DCGAN: {
        "latent_dim": 3,
        "architecture": networks.DCGANNetworks((4, 6), 5, 0.1, norm_discriminator=False),
        "objective": Hinge(),
        "penalty": R1(2.0),
        "discriminator_steps": 2,
        "optimizer": OPTIMIZER,
        "discriminator_optimizer": partial(SGD, lr=0.2),
        "clip_norm": 3.0,
    },
    models.CVAE: {"latent_dim": 3, "attributes": ("hat",), "embedding_dim": 2},
    models.StackedDAE: {
        "widths": (9, 4),
        "activation": nn.Tanh,
        "corruption": networks.Masking(0.4),
    },
    models.Classifier: {"widths": (4, 6), "shift": 1, "flip": True, "optimizer": OPTIMIZER},
    models.VQVAE: {
        "architecture": networks.SpatialResidual((4, 8), 1, nn.SELU),
        "codebook": networks.Codebook(16, 4),
        "prior": Autoregressive(8, 1, 2),
        "autoencoder_epochs": 1,
    },
}


def build_given(kind):
    return build(kind, SHAPE, **GIVEN.get(kind, {}))


def train_a_step(model, path):
    trainer = trainer_of()
    trainer.fit(model, loader_of(torch.rand(4, *SHAPE)))
    trainer.save_checkpoint(path)
    return trainer


@pytest.fixture(scope="module", params=KINDS)
def trained(request, tmp_path_factory):
    model = build_given(request.param)
    before = [p.detach().clone() for p in model.parameters()]
    path = tmp_path_factory.mktemp("trained") / "model.ckpt"
    train_a_step(model, path)
    after = [*model.parameters()]
    assert all(torch.isfinite(p).all() for p in after)
    assert any(not torch.equal(a, b) for a, b in zip(after, before, strict=True))
    return model, path


def only_plain(value):
    if isinstance(value, dict):
        return all(type(k) is str and only_plain(v) for k, v in value.items())
    if type(value) is list:
        return all(map(only_plain, value))
    return value is None or type(value) in (str, int, float, bool)


def contains(loaded, given):
    """Whether all that was given came back; the parser adds the defaults of an optimizer."""
    if isinstance(given, dict):
        return all(key in loaded and contains(loaded[key], given[key]) for key in given)
    if isinstance(given, str) and isinstance(loaded, dict):
        return loaded["class_path"] == given  # a bare class and a part without arguments are one
    return loaded == given


def test_model_comes_back(trained):
    model, path = trained
    loaded = type(model).load_from_checkpoint(path)
    assert type(loaded) is type(model)
    assert contains(dict(loaded.hparams), dict(model.hparams))
    for name, value in GIVEN.get(type(model), {}).items():
        assert contains(loaded.hparams[name], plain(value))
    torch.testing.assert_close(loaded.state_dict(), model.state_dict(), rtol=0, atol=0)
    images = torch.rand(4, *SHAPE)
    losses = []
    for one in (model.eval(), loaded.eval()):
        torch.manual_seed(2)
        losses.append(terms_of(one, images) if hasattr(one, "terms") else one.sample(4).tolist())
    assert losses[0] == losses[1]


def test_checkpoint_holds_plain_values(trained):
    model, path = trained
    checkpoint = torch.load(path, weights_only=True)
    assert only_plain(checkpoint["hyper_parameters"])
    named = checkpoint["hyper_parameters"]["_class_path"]
    assert named == f"lightning_gen.models.{type(model).__name__}"


@pytest.mark.parametrize(("kind", "rates"), [(models.AE, [0.1]), (models.DCGAN, [0.1, 0.2])])
def test_a_loaded_model_trains_on(kind, rates, tmp_path):
    train_a_step(build_given(kind), tmp_path / "one.ckpt")
    loaded = kind.load_from_checkpoint(tmp_path / "one.ckpt")
    trainer = train_a_step(loaded, tmp_path / "two.ckpt")
    assert [(type(o), o.defaults["lr"]) for o in trainer.optimizers] == [(SGD, r) for r in rates]
    assert trainer.optimizers[0].defaults["momentum"] == 0.5
    assert [c.scheduler.step_size for c in trainer.lr_scheduler_configs] == [2] * (
        kind is models.AE
    )
    again = kind.load_from_checkpoint(tmp_path / "two.ckpt")
    assert dict(again.hparams) == dict(loaded.hparams)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (("a", None, (True, 3, (0.5,))), ["a", None, [True, 3, [0.5]]]),
        ({"a": (1,)}, {"a": [1]}),
        (np.float64(0.1), 0.1),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (torch.Size([1, 28]), [1, 28]),
        (Adam, "torch.optim.Adam"),
        (partial(Adam, lr=0.1), {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.1}}),
        (
            Gaussian(learned=True),
            {
                "class_path": "lightning_gen.objectives.Gaussian",
                "init_args": {"sigma": 1.0, "learned": True, "bounded": True},
            },
        ),
    ],
)
def test_plain(value, expected):
    found = plain(value)
    assert found == expected
    assert only_plain(found)


@pytest.mark.parametrize(
    "value",
    [
        lambda parameters: Adam(parameters),
        partial(lambda parameters, lr: Adam(parameters, lr), lr=0.1),
        *(object(), only_plain, {"nested": [lambda: None]}),
    ],
)
def test_what_has_no_plain_form_is_refused(value):
    assert_refused(r"Use functools\.partial, not a lambda", plain, value)
    assert_refused("lambda", models.AE, SHAPE, optimizer=value)


def test_a_class_that_cannot_be_imported_is_refused():
    class Local(nn.ReLU):
        pass

    assert_refused("Local", plain, networks.Dense((4,), activation=Local))


class Named(models.BetaVAE):
    def __init__(self, image_shape: ImageShape, latent_dim: int = 4, depth: int = 2, **parts):
        super().__init__(image_shape, latent_dim, beta=2.0, **parts)
        self.depth = depth


class Passing(models.VAE):
    def __init__(self, depth: int, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.depth = depth


class Closed(Named):
    def __init__(self, image_shape: ImageShape, depth: int):
        super().__init__(image_shape, depth=depth)


@pytest.mark.parametrize(
    ("make", "own", "decided"),
    [
        (lambda: Named(SHAPE, depth=3), {"latent_dim": 4}, {"beta"}),
        (lambda: Named(SHAPE, 5, 3, likelihood=Gaussian(0.5)), {"latent_dim": 5}, {"beta"}),
        (lambda: Passing(3, SHAPE, 5), {"latent_dim": 5, "image_shape": [*SHAPE]}, set()),
        (
            lambda: Passing(3, SHAPE, 5, networks.Dense((4,)), corruption=networks.Masking(0.1)),
            {},
            {"args"},
        ),
        (lambda: Passing(3, image_shape=SHAPE), {"latent_dim": 20}, {"args", "kwargs"}),
        (lambda: Closed(SHAPE, 3), {}, {"latent_dim", "beta", "optimizer", "likelihood"}),
    ],
)
def test_a_subclass_with_a_constructor_of_its_own_comes_back(make, own, decided, tmp_path):
    model = make()
    kept = dict(model.hparams)
    assert kept["depth"] == 3
    assert own.items() <= kept.items()
    assert not decided & kept.keys()
    train_a_step(model, tmp_path / "model.ckpt")
    loaded = type(model).load_from_checkpoint(tmp_path / "model.ckpt")
    assert loaded.depth == 3
    assert contains(dict(loaded.hparams), kept)
    torch.testing.assert_close(loaded.state_dict(), model.state_dict(), rtol=0, atol=0)
