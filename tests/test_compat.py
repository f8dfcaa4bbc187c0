"""Each private attribute of another library that is used, in the installed version."""

from types import SimpleNamespace

import pytest
import torch
from jsonargparse import ArgumentParser, set_parsing_settings
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.loggers import CSVLogger, WandbLogger
from lightning.pytorch.strategies import DDPStrategy

from lightning_gen import _compat
from lightning_gen.data import MiniFashionMNIST
from lightning_gen.models import DCGAN
from lightning_gen.networks import DCGANNetworks
from support.models import QUIET, tiny


class Look(Callback):
    def __init__(self, look):
        self.look = look
        self.seen = []

    def on_train_batch_end(self, trainer, *_):
        self.seen.append(self.look(trainer))


def train(*callbacks, model=None, **options):
    options = {"limit_train_batches": 3, "limit_val_batches": 1, "max_epochs": 1} | options
    trainer = Trainer(callbacks=list(callbacks), **QUIET | options)
    trainer.fit(model or tiny(), MiniFashionMNIST(20))
    return trainer


def test_what_is_gone_is_a_warning():
    trainer = Trainer(**QUIET)
    with pytest.warns(UserWarning, match=r"Trainer\.fit_loop\.no is gone: it is slow\."):
        found = _compat.private(trainer, "fit_loop.no", "it is slow")
    assert found is _compat.MISSING


def test_import_object():
    assert _compat.import_object("torch.optim.Adam") is torch.optim.Adam
    with pytest.raises(AttributeError):
        _compat.import_object("torch.optim.Nothing")


def test_parsing_settings_kept():
    with _compat.parsing_settings_kept():
        set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=["torch.optim"])
        with pytest.raises(ImportError):
            _compat.import_object("torch.nn.Linear")
    assert _compat.import_object("torch.nn.Linear") is torch.nn.Linear


class Base:
    pass


class One(Base):
    def __init__(self, size: int = 1, only: int = 2):
        pass


class Two(Base):
    def __init__(self, size: int = 5):
        pass


def test_classes_from_their_defaults():
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--part", type=Base)
    words = ["--part", f"{__name__}.One", "--part.size", "9", "--part", f"{__name__}.Two"]
    assert parser.parse_args(words).part.init_args.size == 9
    dropped = []
    with _compat.classes_from_their_defaults(lambda *said: dropped.append(said)):
        assert parser.parse_args(words).part.init_args.size == 5
    assert dropped[-1] == (f"{__name__}.One", f"{__name__}.Two", {"size": 9})
    assert parser.parse_args(words).part.init_args.size == 9


def test_averages():
    average, model = EMAWeightAveraging(decay=0.5), tiny()

    def swapped(trainer):
        assert _compat.holds_average(average)
        before = [p.clone() for p in model.parameters()]
        _compat.swap_average(average, model)
        differ = not all(map(torch.equal, before, model.parameters()))
        _compat.swap_average(average, model)
        return differ, all(map(torch.equal, before, model.parameters()))

    look = Look(swapped)
    train(look, average, model=model)
    assert look.seen[1:] == [(True, True)] * 2
    _compat.forget_average(average)
    assert not _compat.holds_average(average)


def test_uncounted():
    trainer = train(model=DCGAN((1, 28, 28), 2, DCGANNetworks((4, 8))))
    assert trainer.global_step == 3


def test_accumulates():
    look = Look(_compat.accumulates)
    train(look, accumulate_grad_batches=2)
    assert look.seen == [True, False, False]


def test_log_step(tmp_path):
    logger = CSVLogger(tmp_path)

    class Leaves(Callback):
        def on_train_batch_end(self, trainer, *_):
            _compat.log_step(trainer)
            trainer.should_stop = True

    train(Leaves(), logger=logger, log_every_n_steps=1, limit_train_batches=1)
    assert "train/loss" in logger.experiment.metrics_keys


def test_unlogged():
    look = Look(_compat.unlogged)
    train(look, log_every_n_steps=2)
    assert [found is not None for found in look.seen] == [False, True, False]
    metrics, step = look.seen[1]
    assert step == 1
    assert "train/loss" in metrics


def test_forget_logged():
    trainer = SimpleNamespace(_results={"training_step.train/a": 1, "validation_step.val/a": 2})
    _compat.forget_logged(trainer, "train/")
    assert trainer._results == {"validation_step.val/a": 2}
    with pytest.warns(UserWarning, match="_results is gone"):
        _compat.forget_logged(SimpleNamespace(), "train/")


def test_find_unused_parameters():
    trainer = Trainer(devices=2, strategy=DDPStrategy(), **QUIET)
    _compat.find_unused_parameters(trainer)
    assert trainer.strategy._ddp_kwargs == {"find_unused_parameters": True}


def test_is_restoring(tmp_path):
    path = tmp_path / "a.ckpt"
    train().save_checkpoint(path)

    class Asks(Callback):
        def on_load_checkpoint(self, trainer, pl_module, checkpoint):
            asked.append(_compat.is_restoring(trainer))

    asked = []
    trainer = Trainer(callbacks=[Asks()], max_epochs=1, **QUIET)
    assert not _compat.is_restoring(trainer)
    trainer.fit(tiny(), MiniFashionMNIST(20), ckpt_path=path, weights_only=True)
    assert asked == [True]


def test_the_options_of_a_wandb_run_until_it_begins(tmp_path):
    logger = WandbLogger(name="mine")
    options = _compat.wandb_options(logger)
    assert (options["name"], options["dir"], options["id"]) == ("mine", ".", None)
    _compat.set_wandb_options(logger, mode="offline", dir=str(tmp_path), id="abc")
    assert (logger.save_dir, logger.version) == (str(tmp_path), "abc")
    run = logger.experiment
    assert run.offline
    assert _compat.wandb_options(logger) is None
    run.finish()


def test_an_artifact_is_used_without_a_server():
    class Run:
        def _log_artifact(self, artifact, **options):
            logged.append((artifact, options["use_after_commit"]))

    logged = []
    _compat.log_used(Run(), "data")
    assert logged == [("data", True)]
