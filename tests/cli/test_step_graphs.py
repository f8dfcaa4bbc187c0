"""Training steps in CUDA graphs: the same numbers, and a reason where there are none.

Without a GPU a recorder of the CPU's operations takes the graph's place.
"""

import math
import re
import warnings
import weakref
from contextlib import contextmanager, nullcontext
from functools import partial

import pytest
import torch
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch.optim import SGD, Adam, RMSprop
from torch.optim.lr_scheduler import ExponentialLR, OneCycleLR

from lightning_gen.callbacks import FiniteLoss
from lightning_gen.cli import step_graphs
from lightning_gen.cli.cuda_graph import CudaGraph
from lightning_gen.cli.graph_rate import reads_its_rate
from lightning_gen.cli.trainer import RunTrainer
from lightning_gen.data import MiniFashionMNIST
from lightning_gen.errors import UserError
from lightning_gen.models import VAE, WAEGAN
from lightning_gen.models.one_cycle import OneCycle
from lightning_gen.objectives import ELBO
from support.command import SMALL
from support.kinds import dcgan, vqvae
from support.models import KINDS, QUIET, build, tiny
from support.recorder import Recorder

RATE = 2.0**-10
"""The same number in float32, as a graph has it, and in float64, as an optimizer has it."""

DECAY = partial(ExponentialLR, gamma=0.5)

WITHOUT = "training goes on without"


@pytest.fixture(autouse=True)
def recorders(monkeypatch):
    made = []
    monkeypatch.setattr(Recorder, "made", made)
    monkeypatch.setattr(step_graphs, "CudaGraph", Recorder)
    monkeypatch.setattr(step_graphs, "has_graphs", lambda _: True)
    return made


@contextmanager
def refused(reason):
    """A warning that gives the reason, once."""
    with pytest.warns(UserWarning, match=f"no CUDA graphs: .*{reason}.*; {WITHOUT}") as said:
        yield
    assert len([warning for warning in said if WITHOUT in str(warning.message)]) == 1


class Gradients(Callback):
    """The norms of the gradients after each step, and what the step returned."""

    def __init__(self):
        self.seen = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        gradients = [p.grad.norm().item() for p in pl_module.parameters() if p.grad is not None]
        self.seen.append((gradients, outputs["loss"].item()))


def trained(model, *callbacks, graphs, batch_size=16, **options):
    """What is left of two epochs of 8 steps."""
    torch.manual_seed(0)
    gradients = Gradients()
    sizes = {"max_epochs": 2, "limit_train_batches": 8, "limit_val_batches": 1}
    options = QUIET | sizes | {"log_every_n_steps": 7} | options
    trainer = RunTrainer(
        cuda_graphs=graphs, callbacks=[gradients, FiniteLoss(), *callbacks], **options
    )
    trainer.fit(model(), MiniFashionMNIST(batch_size=batch_size))
    return {
        "parameters": trainer.lightning_module.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in trainer.optimizers],
        "logged": {name: value.item() for name, value in trainer.callback_metrics.items()},
        "gradients": gradients.seen,
        "steps": trainer.global_step,
        "loops": trainer.fit_loop.state_dict(),
        "random": torch.get_rng_state().tolist(),
    }


def assert_same(one, other, **tolerance):
    torch.testing.assert_close(one, other, rtol=0, atol=0, **tolerance)


def check(model, *callbacks, **options):
    """Train twice; the numbers are the same to the last bit."""
    plain = trained(model, *callbacks, graphs=False, **options)
    assert not Recorder.made
    assert_same(trained(model, *callbacks, graphs=True, **options), plain)
    return Recorder.made


def at_rate(build, **arguments):
    return partial(build, optimizer=partial(Adam, lr=RATE), **arguments)


@pytest.mark.parametrize("kind", KINDS)
def test_the_numbers_are_those_of_steps_without_graphs(kind):
    (graph,) = check(at_rate(build, kind=kind))
    assert graph.warmed_up == 3
    assert graph.replays > 6


def test_a_step_of_each_kind_has_its_graph():
    critic, both = check(at_rate(dcgan, discriminator_steps=2, penalty=None), max_epochs=4)
    assert critic.replays > 0
    assert both.replays > 0


@pytest.mark.parametrize(
    "model",
    [
        at_rate(tiny, model=WAEGAN, clip_norm=0.1),
        at_rate(tiny, model=WAEGAN, lr_scheduler=DECAY),
        at_rate(tiny, model=VAE, lr_scheduler=DECAY),
        partial(tiny, optimizer=partial(SGD, lr=RATE / 64, momentum=0.5)),
        partial(tiny, optimizer=partial(Adam, lr=RATE, weight_decay=0.25, amsgrad=True)),
    ],
)
def test_the_numbers_are_the_same_with(model):
    (graph,) = check(model)
    assert graph.replays > 6


@pytest.mark.parametrize("model", [tiny, partial(tiny, model=WAEGAN)])
def test_a_rate_that_changes_at_each_step_reaches_the_graph(model):
    model = partial(model, lr_scheduler=OneCycle)
    plain, graphed = (trained(model, graphs=graphs) for graphs in (False, True))
    assert Recorder.made[0].replays > 6
    # float32 rounds the rate.
    torch.testing.assert_close(graphed["parameters"], plain["parameters"], rtol=1e-5, atol=1e-6)
    groups = [
        [group for optimizer in run["optimizers"] for group in optimizer["param_groups"]]
        for run in (plain, graphed)
    ]
    assert groups[0] == groups[1]
    assert graphed["loops"] == plain["loops"]


def test_clipping_by_the_trainer_is_in_the_graph():
    (graph,) = check(at_rate(tiny), gradient_clip_val=0.5)
    assert graph.replays > 6


def test_no_step_of_a_warmup_is_recorded():
    (graph,) = check(at_rate(tiny, objective=ELBO(warmup_steps=9)), max_epochs=3)
    assert 0 < graph.replays < 10


def test_both_phases_of_a_vqvae_have_their_graph():
    assert len(check(at_rate(vqvae))) == 2


def test_an_average_of_the_weights_is_kept_beside_graphs():
    def run(graphs):
        average = EMAWeightAveraging(decay=0.5)
        return trained(at_rate(tiny), average, graphs=graphs)

    assert_same(run(True), run(False))
    assert sum(graph.replays for graph in Recorder.made) > 6


def test_a_smaller_batch_has_no_graph():
    images = len(MiniFashionMNIST(batch_size=1).load_train())
    (graph,) = check(at_rate(tiny), batch_size=images // 5, max_epochs=6, limit_train_batches=1.0)
    assert graph.replays > 6


def test_parameters_that_moved_are_recorded_anew():
    class Moves(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            for parameter in pl_module.parameters():
                parameter.data = parameter.data.clone()

    assert len(check(at_rate(tiny), Moves(), max_epochs=3)) == 3


def test_parameters_that_begin_to_train_are_recorded_anew():
    class Thaws(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            pl_module.encoder.requires_grad_(trainer.current_epoch > 0)

    frozen, both = check(at_rate(tiny), Thaws())
    assert frozen.replays > 1
    assert both.replays > 1


def test_a_group_that_is_added_is_recorded_too():
    class Adds(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            if trainer.current_epoch == 1:
                (optimizer,) = trainer.optimizers
                moved = optimizer.param_groups[0]["params"].pop()
                optimizer.add_param_group({"params": [moved], "lr": 2 * RATE})

    assert len(check(at_rate(tiny), Adds())) == 2


def test_a_checkpoint_of_graphs_goes_on_without(tmp_path):
    def run(graphs, **options):
        torch.manual_seed(0)
        model, data = tiny(optimizer=partial(Adam, lr=RATE)), MiniFashionMNIST(batch_size=16)
        trainer = RunTrainer(cuda_graphs=graphs, max_epochs=2, limit_train_batches=8, **QUIET)
        trainer.fit(model, data, **options)
        return trainer

    first = run(True)
    first.save_checkpoint(tmp_path / "a.ckpt", weights_only=False)
    saved = torch.load(tmp_path / "a.ckpt", weights_only=True)
    (group,) = saved["optimizer_states"][0]["param_groups"]
    assert group["lr"] == RATE
    assert isinstance(group["lr"], float)
    assert group["capturable"] is False
    assert run(False, ckpt_path=tmp_path / "a.ckpt").global_step == first.global_step


@pytest.mark.parametrize("model", [tiny, partial(tiny, WAEGAN)])
def test_a_loss_that_breaks_in_a_replay_is_found_at_its_step(model):
    class Break(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if trainer.global_step == 5:
                pl_module.decoder[-2].bias.data.fill_(math.nan)

    with pytest.raises(UserError, match="the loss became nan at step 5 "):
        trained(model, Break(), graphs=True)
    assert Recorder.made[0].replays > 1


class Hears(Callback):
    def on_after_backward(self, trainer, pl_module):
        self.heard = getattr(self, "heard", 0) + 1


class OfAnother(LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def training_step(self, batch, batch_idx):
        return (self.weight * batch.images).square().mean()

    def validation_step(self, batch, batch_idx):
        pass

    def configure_optimizers(self):
        return Adam(self.parameters())


class Logs(VAE):
    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.log("mine", loss.detach())
        return loss


class Steps(WAEGAN):
    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.lr_schedulers()[0].step()
        return loss


class Replaces(VAE):
    def training_step(self, batch, batch_idx):
        self.register_buffer("seen", batch.images.sum())
        return super().training_step(batch, batch_idx)


@pytest.mark.parametrize(
    ("reason", "model", "callbacks", "options"),
    [
        ("trainer.accumulate_grad_batches", tiny, [], {"accumulate_grad_batches": 2}),
        ("trainer.log_every_n_steps is 1", tiny, [], {"log_every_n_steps": 1}),
        ("Hears looks into each step, by on_after_backward", tiny, [Hears], {}),
        ("OfAnother has no step_kind", OfAnother, [], {}),
        ("training_step logs at each step", partial(tiny, Logs), [], {}),
        ("training_step steps a scheduler at", partial(tiny, Steps, lr_scheduler=DECAY), [], {}),
        ("puts another tensor in the place of seen", partial(tiny, Replaces), [], {}),
        ("RMSprop is neither fused nor", partial(tiny, optimizer=RMSprop), [], {}),
    ],
)
def test_where_there_are_no_graphs_a_warning_says_why(reason, model, callbacks, options):
    options |= {"graphs": True}
    with refused(reason):
        trained(model, *(callback() for callback in callbacks), **options)
    assert sum(graph.replays for graph in Recorder.made) == 0


@pytest.mark.parametrize(
    ("options", "reads"),
    [
        ({"fused": True, "capturable": False}, True),
        ({"foreach": None, "capturable": True}, True),
        ({"foreach": False, "capturable": True}, False),  # torch asks the device for the rate
        ({"foreach": None, "capturable": False}, False),
        ({}, False),
    ],
)
def test_which_optimizers_read_their_rate_on_the_device(options, reads):
    assert reads_its_rate(options) is reads


def test_an_option_that_a_schedule_changes_ends_graphs():
    class EveryStep(VAE):
        def configure_optimizers(self):
            optimizer = Adam(self.parameters(), lr=RATE, fused=True)
            scheduler = OneCycleLR(optimizer, RATE, total_steps=100)
            return [optimizer], [{"scheduler": scheduler, "interval": "step"}]

    plain = trained(partial(tiny, EveryStep), graphs=False)
    with refused("options change while it trains, and not its rate alone"):
        graphed = trained(partial(tiny, EveryStep), graphs=True)
    torch.testing.assert_close(graphed["parameters"], plain["parameters"], rtol=1e-5, atol=1e-6)


def test_a_step_that_waits_for_the_device_is_not_recorded(monkeypatch):
    reason = "a step waits for the device"
    monkeypatch.setattr(Recorder, "watch", lambda self, step: (step(), reason))
    with refused(reason):
        trained(tiny, graphs=True)
    assert Recorder.made[0].replays == 0


def test_where_a_step_waits_is_named_and_other_warnings_are_given(monkeypatch):
    class Stream:
        def __init__(self, device=None):
            self.device = device

        def wait_stream(self, other):
            pass

    modes = []
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", object)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", nullcontext)
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: 0)
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)

    def step(*said):
        for message in said:
            warnings.warn(message, stacklevel=1)
        return 7

    graph = CudaGraph(torch.device("cuda"))
    assert graph.watch(partial(step, "Synchronization debug mode is a prototype")) == (7, None)
    with pytest.warns(UserWarning, match="of the model") as said:
        result, reason = graph.watch(
            partial(step, "called a synchronizing CUDA operation (Triggered ...)", "of the model")
        )
    assert result == 7
    assert re.fullmatch(r"a step waits for the device \(test_step_graphs.py, line \d+\)", reason)
    assert len(said) == 1
    assert modes == ["warn", 0] * 2


def test_half_precision_with_a_scaled_loss_has_no_graphs():
    trainer = RunTrainer(cuda_graphs=True, **QUIET)
    trainer.strategy.precision_plugin.precision = "16-mixed"
    assert "16-mixed" in step_graphs.what_is_in_the_way(trainer, tiny())


def test_several_processes_have_no_graphs():
    trainer = RunTrainer(cuda_graphs=True, devices=2, strategy="ddp", **QUIET)
    assert "several processes" in step_graphs.what_is_in_the_way(trainer, tiny())


def test_a_recording_that_fails_ends_the_run_in_a_line():
    class Asks(VAE):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            if batch_idx > 2:
                loss.item()
            return loss

    with pytest.raises(UserError, match="not permitted when stream is capturing") as error:
        trained(partial(tiny, Asks), graphs=True)
    assert "\n" not in str(error.value)
    assert "trainer.cuda_graphs" in str(error.value)


@pytest.mark.parametrize(
    ("error", "said"),
    [(RuntimeError("why"), "CUDA graph: why. Go on"), (UserError("own"), "^own$")],
)
def test_the_first_error_of_a_recording_is_the_one_that_is_told(error, said, monkeypatch):
    def record(graph, step):
        try:
            raise error
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")

    monkeypatch.setattr(Recorder, "record", record)
    with pytest.raises(UserError, match=said):
        trained(tiny, graphs=True)


def test_after_a_fit_the_graphs_are_gone(recorders):
    gone = [0]
    trained(tiny, graphs=True)
    weakref.finalize(recorders.pop(), gone.append, 1)
    assert gone == [0, 1]


def test_after_a_fit_the_loop_is_lightnings():
    trainer = RunTrainer(cuda_graphs=True, max_steps=3, limit_val_batches=0, **QUIET)
    trainer.fit(tiny(), MiniFashionMNIST(batch_size=16))
    assert "run" not in vars(trainer.fit_loop.epoch_loop.automatic_optimization)


def test_on_a_cpu_the_command_trains_without(command, monkeypatch):
    monkeypatch.undo()
    with pytest.warns(UserWarning, match="no CUDA graphs"):
        result = command("fit", *SMALL, "--trainer.cuda_graphs", "true")
    assert result.code == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU")
class TestOnAGPU:
    @pytest.fixture(autouse=True)
    def real(self, monkeypatch, recorders):
        monkeypatch.undo()
        monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
        self.replays = 0
        replay = CudaGraph.replay

        def counted(graph):
            self.replays += 1
            replay(graph)

        monkeypatch.setattr(CudaGraph, "replay", counted)

    @pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
    @pytest.mark.parametrize("kind", KINDS)
    def test_the_numbers_are_those_of_steps_without_graphs(self, kind, precision):
        options = {"accelerator": "cuda", "devices": 1, "precision": precision}
        model = at_rate(build, kind=kind)
        plain, again = (trained(model, graphs=False, **options) for _ in range(2))
        assert self.replays == 0
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="no CUDA graphs")
            graphed = trained(model, graphs=True, **options)
        assert self.replays > 6
        losses, others, repeated = (
            [loss for _, loss in run["gradients"]] for run in (graphed, plain, again)
        )
        # What a GPU adds up in any order grows, with a GAN to a tenth in sixteen steps.
        noise = max(abs(a - b) / abs(a) for a, b in zip(others, repeated, strict=True))
        assert losses[:6] == pytest.approx(others[:6], rel=1e-3), "two of them are replays"
        assert losses == pytest.approx(others, rel=max(1e-3, 10 * noise))
        assert graphed["steps"] == plain["steps"]
        assert graphed["loops"] == plain["loops"]
