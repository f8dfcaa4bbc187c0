from functools import partial

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import LambdaCallback
from torch.optim import SGD, Adam, AdamW, RMSprop

from lightning_gen.data import MiniFashionMNIST
from lightning_gen.models.optimizers import OneCycle, SharedFactory
from support.kinds import KINDS
from support.models import QUIET, tiny
from support.refusals import assert_refused


def built(kind, **arguments):
    return SharedFactory(partial(kind, lr=0.1, **arguments))([torch.nn.Parameter(torch.ones(3))])


@pytest.mark.parametrize("kind", [Adam, AdamW, SGD])
def test_an_optimizer_that_can_is_fused(kind):
    optimizer = built(kind)
    assert [group["fused"] for group in optimizer.param_groups] == [True]
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(1))]})
    assert optimizer.param_groups[1]["fused"]


@pytest.mark.parametrize("choice", [{"fused": False}, {"foreach": True}, {"differentiable": True}])
def test_what_was_chosen_stays(choice):
    assert not built(Adam, **choice).param_groups[0]["fused"]
    assert "fused" not in built(RMSprop).param_groups[0]  # which knows no such update


@pytest.mark.parametrize("kind", [Adam, partial(SGD, momentum=0.9)])
def test_twenty_steps_end_where_those_of_the_plain_loop_do(kind):
    def train(**choice):
        torch.manual_seed(0)
        model = tiny(optimizer=partial(kind, lr=1e-5, **choice))
        Trainer(max_steps=20, limit_val_batches=0, **QUIET).fit(model, MiniFashionMNIST(20))
        return model.state_dict()

    fused, plain = train(), train(fused=False, foreach=False)
    for name in plain:
        torch.testing.assert_close(fused[name], plain[name])


BATCHES = 5


class Rates(Callback):
    def __init__(self):
        self.seen = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        rates = {group["lr"] for each in trainer.optimizers for group in each.param_groups}
        self.seen.append(rates.pop() if len(rates) == 1 else rates)


def vae(**schedule):
    return tiny(optimizer=partial(Adam, lr=0.5), lr_scheduler=partial(OneCycle, **schedule))


def gan(**arguments):
    schedule = partial(OneCycle, warmup=0.2, start=0.1)
    return KINDS["DCGAN"](optimizer=partial(SGD, lr=0.5), lr_scheduler=schedule, **arguments)


def trainer(rates, **options):
    options = {"max_epochs": 2, "limit_train_batches": BATCHES, "limit_val_batches": 1} | options
    return Trainer(callbacks=rates, **QUIET | options)


def train(model, **options):
    rates = Rates()
    trainer(rates, **options).fit(model, MiniFashionMNIST(20))
    return rates.seen


@pytest.mark.parametrize(
    ("schedule", "options", "rates"),
    [
        ({"start": 0.1}, {}, [0.05, 0.275, *(0.5 * k / 8 for k in range(8, 0, -1))]),
        ({"warmup": 0.0}, {"max_epochs": -1, "max_steps": 4}, [0.5, 0.375, 0.25, 0.125]),
        ({"warmup": 0.0}, {"accumulate_grad_batches": 5}, [0.5] * BATCHES + [0.25] * BATCHES),
    ],
    ids=["epochs", "steps", "accumulated batches"],
)
def test_the_rate_rises_to_the_optimizer_s_and_falls_to_nothing(schedule, options, rates):
    assert train(vae(**{"warmup": 0.2} | schedule), **options) == pytest.approx(rates)


@pytest.mark.parametrize("discriminator_steps", [1, 2])
def test_a_gan_s_rates_are_stepped_once_a_batch(discriminator_steps):
    model = gan(discriminator_steps=discriminator_steps)
    assert train(model) == pytest.approx(train(vae(warmup=0.2, start=0.1)))


def rates_of_whole_and_rest(build, path, step, **options):
    """Of a run, and of one with other options that goes on from its checkpoint of a step."""

    def save(trainer, *_):
        if trainer.global_step == step:
            trainer.save_checkpoint(path)

    whole, rest = Rates(), Rates()
    saves = LambdaCallback(on_train_batch_end=save)
    trainer([whole, saves]).fit(build(), MiniFashionMNIST(20))
    trainer(rest, **options).fit(build(), MiniFashionMNIST(20), ckpt_path=path, weights_only=True)
    return whole.seen, rest.seen


@pytest.mark.parametrize("build", [partial(vae, warmup=0.2, start=0.1), gan])
def test_a_run_that_goes_on_has_the_rates_of_the_uninterrupted_one(build, tmp_path):
    whole, rest = rates_of_whole_and_rest(build, tmp_path / "middle.ckpt", 3)
    assert rest == pytest.approx(whole[3:])


def test_a_run_that_goes_on_in_other_steps_goes_on_at_the_same_epoch(tmp_path):
    build, path = partial(vae, warmup=0.0), tmp_path / "one_epoch.ckpt"
    _, rest = rates_of_whole_and_rest(build, path, BATCHES, accumulate_grad_batches=5)
    assert rest == pytest.approx([0.25] * BATCHES)


def test_a_training_without_an_end_is_refused():
    assert_refused(r"OneCycle spans .* trainer\.max_epochs", train, vae(), max_epochs=-1)


def test_shares_out_of_range_are_refused():
    for name, wrong in (("warmup", 1.0), ("warmup", -0.1), ("start", 0.0)):
        assert_refused(name, train, vae(**{name: wrong}))
