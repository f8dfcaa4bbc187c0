"""Constructor arguments come back from a checkpoint that holds plain values alone."""

from functools import partial

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader

from lightning_gen import models
from lightning_gen.data import MiniFashionMNIST
from lightning_gen.errors import UserError
from lightning_gen.hyperparameters import plain
from lightning_gen.models import AE, CAE, CVAE, DCGAN, VAE, BetaVAE, ResVAE, StackedDAE
from lightning_gen.networks import Conv, DCGANNetworks, Dense, Masking, Residual, SaltAndPepper
from lightning_gen.objectives import ELBO, R1, DiscretizedLogistic, Gaussian, Hinge
from support.models import batch_of, build, terms_of

SHAPE = (1, 12, 10)
OPTIMIZER = partial(SGD, lr=0.1, momentum=0.5)

# Arguments that all differ from the defaults.
GIVEN = {
    AE: {
        "latent_dim": 3,
        "architecture": Conv((4,), nn.SELU, nn.BatchNorm2d),
        "likelihood": Gaussian(0.3, learned=True, bounded=False),
        "optimizer": OPTIMIZER,
        "lr_scheduler": partial(StepLR, step_size=2),
    },
    CAE: {"widths": (3, 2), "likelihood": Gaussian(0.2), "optimizer": OPTIMIZER},
    VAE: {
        "latent_dim": 3,
        "architecture": Dense((8, 7), nn.Tanh, nn.LayerNorm),
        "likelihood": DiscretizedLogistic(),
        "objective": ELBO(2.0, 7, 0.5),
        "optimizer": OPTIMIZER,
    },
    BetaVAE: {"latent_dim": 3, "beta": 7.0, "architecture": Residual((4,))},
    ResVAE: {"latent_dim": 3, "objective": ELBO(0.5), "corruption": SaltAndPepper(0.1)},
    DCGAN: {
        "latent_dim": 3,
        "architecture": DCGANNetworks((4, 6), 5, 0.1, norm_discriminator=False),
        "objective": Hinge(),
        "penalty": R1(2.0),
        "discriminator_steps": 2,
        "optimizer": OPTIMIZER,
        "discriminator_optimizer": partial(SGD, lr=0.2),
        "clip_norm": 3.0,
    },
    CVAE: {"latent_dim": 3, "attributes": ("hat",), "embedding_dim": 2},
    StackedDAE: {"widths": (9, 4), "activation": nn.Tanh, "corruption": Masking(0.4)},
}
ALL = [getattr(models, name) for name in models.__all__]


def build_given(kind):
    return build(kind, SHAPE, **GIVEN.get(kind, {}))


def train_a_step(model, path):
    batch = batch_of(torch.rand(4, *SHAPE))
    trainer = Trainer(
        accelerator="cpu",
        max_steps=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, DataLoader([batch], batch_size=None))
    trainer.save_checkpoint(path)
    return trainer


@pytest.fixture(params=ALL)
def trained(request, tmp_path):
    model = build_given(request.param)
    path = tmp_path / "model.ckpt"
    train_a_step(model, path)
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


def test_all_models_of_this_file_exist():
    assert set(GIVEN) <= set(ALL)


def test_model_comes_back(trained):
    model, path = trained
    loaded = type(model).load_from_checkpoint(path)
    assert type(loaded) is type(model)
    assert contains(dict(loaded.hparams), dict(model.hparams))
    for name, value in GIVEN.get(type(model), {}).items():
        assert contains(loaded.hparams[name], plain(value))
    state, expected = loaded.state_dict(), model.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[key], expected[key]) for key in expected)


def test_the_loaded_model_computes_the_same(trained):
    model, path = trained
    loaded = type(model).load_from_checkpoint(path)
    images = torch.rand(4, *SHAPE)
    losses = []
    for one in (model.eval(), loaded.eval()):
        torch.manual_seed(2)
        losses.append(terms_of(one, images) if hasattr(one, "terms") else one.sample(4).tolist())
    assert losses[0] == losses[1]


@pytest.mark.parametrize("kind", [AE, VAE])
def test_the_loaded_model_has_the_optimizer(kind, tmp_path):
    train_a_step(build_given(kind), tmp_path / "model.ckpt")
    trainer = train_a_step(
        kind.load_from_checkpoint(tmp_path / "model.ckpt"), tmp_path / "again.ckpt"
    )
    [optimizer] = trainer.optimizers
    assert type(optimizer) is SGD
    assert optimizer.defaults == SGD([torch.zeros(1)], lr=0.1, momentum=0.5, fused=True).defaults


def test_checkpoint_holds_plain_values(trained):
    model, path = trained
    checkpoint = torch.load(path, weights_only=True)
    assert only_plain(checkpoint["hyper_parameters"])
    cls = type(model)
    assert checkpoint["hyper_parameters"]["_class_path"] == f"{cls.__module__}.{cls.__name__}"


def test_a_loaded_model_trains_on(tmp_path):
    model = build_given(AE)
    train_a_step(model, tmp_path / "one.ckpt")
    loaded = AE.load_from_checkpoint(tmp_path / "one.ckpt")
    trainer = train_a_step(loaded, tmp_path / "two.ckpt")
    assert trainer.lr_scheduler_configs[0].scheduler.step_size == 2
    again = AE.load_from_checkpoint(tmp_path / "two.ckpt")
    assert contains(dict(again.hparams), dict(model.hparams))
    assert dict(again.hparams) == dict(loaded.hparams)


def test_datamodule_remembers():
    data = MiniFashionMNIST(batch_size=7, val_fraction=0.25)
    assert only_plain(dict(data.hparams))
    assert data.hparams["batch_size"] == 7
    assert data.hparams["val_fraction"] == 0.25
    assert data.hparams["binarize"] is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (0.5, 0.5),
        ("a", "a"),
        ((1, (2, 3)), [1, [2, 3]]),
        ({"a": (1,)}, {"a": [1]}),
        (np.float64(0.1), 0.1),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (torch.Size([1, 28]), [1, 28]),
        (Adam, "torch.optim.adam.Adam"),
        (partial(Adam, lr=0.1), {"class_path": "torch.optim.adam.Adam", "init_args": {"lr": 0.1}}),
        (
            Dense((4,)),
            {
                "class_path": "lightning_gen.networks.dense.Dense",
                "init_args": {
                    "widths": [4],
                    "activation": "torch.nn.modules.activation.ReLU",
                    "normalization": None,
                    "he_initialization": False,
                    "decoder_widths": None,
                    "start_at_mean": False,
                },
            },
        ),
        (
            Gaussian(learned=True),
            {
                "class_path": "lightning_gen.objectives.likelihoods.Gaussian",
                "init_args": {"sigma": 1.0, "learned": True, "bounded": True},
            },
        ),
    ],
)
def test_plain(value, expected):
    found = plain(value)
    assert found == expected
    assert only_plain(found)


class NoDataclass:
    pass


def a_function(parameters):
    return Adam(parameters)


@pytest.mark.parametrize(
    "value",
    [
        lambda parameters: Adam(parameters),
        partial(lambda parameters, lr: Adam(parameters, lr), lr=0.1),
        NoDataclass(),
        a_function,
        {"nested": [lambda: None]},
    ],
)
def test_what_has_no_plain_form_is_refused(value):
    with pytest.raises(UserError, match=r"Use functools\.partial, not a lambda"):
        plain(value)


def test_a_class_that_cannot_be_imported_is_refused():
    class Local(nn.ReLU):
        pass

    with pytest.raises(UserError, match="Local"):
        plain(Dense((4,), activation=Local))


def test_a_model_refuses_a_lambda():
    with pytest.raises(UserError, match="lambda"):
        AE(SHAPE, optimizer=lambda parameters: Adam(parameters))
