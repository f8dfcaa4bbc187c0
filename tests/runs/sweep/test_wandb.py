"""A sweep as a file of Weights & Biases."""

import pytest
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command_args
from wandb.wandb_agent import Agent

from lightning_gen.runs.sweep.reading import read_sweep
from lightning_gen.runs.sweep.wandb_file import wandb_sweep, write_wandb
from support.command import column, only_run
from support.refusals import assert_refused
from support.slurm import own_programs
from support.sweeps import GRID, RANDOM, write_sweep
from support.wandb_runs import Held


def content_of(tmp_path, content=GRID, words=(), **changes):
    return wandb_sweep(read_sweep(write_sweep(tmp_path, content, **changes)), words, None)


def test_a_grid(tmp_path):
    sweep = read_sweep(write_sweep(tmp_path, overrides={"trainer.max_epochs": 2}))
    assert wandb_sweep(sweep, ("--data.root", "x"), None) == {
        "project": "lightning_gen",
        "program": "lightning-gen",
        "method": "grid",
        "metric": {"name": "val/loss", "goal": "minimize"},
        "parameters": {
            "model.latent_dim": {"values": [2, 4, 8]},
            "model.optimizer.lr": {"values": [0.1, 0.01]},
        },
        "command": [
            *("${env}", "${program}", "fit", "--config", str(sweep.config)),
            *("--trainer.max_epochs=2", "--data.root", "x"),
            *("--trainer.logger", "lightning.pytorch.loggers.WandbLogger", "${args}"),
        ],
    }


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ({"low": 0.1, "high": 0.9}, {"distribution": "uniform", "min": 0.1, "max": 0.9}),
        ({"low": 2, "high": 9}, {"distribution": "int_uniform", "min": 2, "max": 9}),
        (
            {"low": 0.001, "high": 0.1, "log": True},
            {"distribution": "log_uniform_values", "min": 0.001, "max": 0.1},
        ),
        ({"low": 2, "high": 9, "step": 3}, {"values": [2, 5, 8]}),
        ({"low": 0.0, "high": 0.3, "step": 0.1}, {"values": pytest.approx([0, 0.1, 0.2, 0.3])}),
        ([[8], [16, 8]], {"values": ["[8]", "[16, 8]"]}),
    ],
)
def test_ranges(parameter, expected, tmp_path):
    content = content_of(tmp_path, RANDOM, parameters={"model.x": parameter})
    assert content["parameters"] == {"model.x": expected}
    assert (content["method"], content["run_cap"]) == ("random", 5)


def test_an_agent_passes_each_value_on_as_fit_reads_it(tmp_path):
    """Through W&B's own words for a command; Python's None is no value of YAML."""
    values = [None, True, 0.00001, "Dense", [8, 4]]
    content = content_of(tmp_path, parameters={"model.x": values})
    written = yaml.safe_load(yaml.safe_dump(content))["parameters"]["model.x"]["values"]
    made = [create_sweep_command_args({"args": {"model.x": {"value": v}}}) for v in written]
    words = [each["args"][0] for each in made]
    read = [yaml.safe_load(word.removeprefix("--model.x=")) for word in words]
    assert [float(v) if i == 2 else v for i, v in enumerate(read)] == values


def test_a_logger_of_ones_own_stays_and_a_guided_sampler_is_bayes(tmp_path):
    words = ("--trainer.logger", "conf/logger/wandb.yaml")
    content = content_of(tmp_path, RANDOM, words, sampler="TPESampler", trials=7)
    assert content["command"].count("--trainer.logger") == 1
    assert (content["method"], content["run_cap"]) == ("bayes", 7)


def test_what_wandb_cannot_do(tmp_path):
    logarithmic = RANDOM | {"parameters": {"model.x": {"low": 1, "high": 9, "log": True}}}
    match = r"model\.x: W&B has no logarithmic range of whole"
    assert_refused(match, content_of, tmp_path, logarithmic)
    total = {"metric": "val/reconstruction + val/kl"}
    guided = RANDOM | {"sampler": "TPESampler"} | total
    assert_refused("W&B follows one metric", content_of, tmp_path, guided)
    assert "metric" not in content_of(tmp_path, GRID, **total)


def test_a_file_that_cannot_be_written(tmp_path):
    sweep = read_sweep(write_sweep(tmp_path))
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "wandb.yaml"
    assert_refused("cannot be written", write_wandb, sweep, (), None, place)


@pytest.mark.slow
def test_an_agent_of_wandb_trains(tmp_path, monkeypatch):
    """W&B's own agent starts the command of the file, as its server would tell it to."""
    for name, value in (own_programs() | {"WANDB_SWEEP_ID": "sw33p"}).items():
        monkeypatch.setenv(name, value)
    for name in ("WANDB_DIR", "WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH"):  # the agent sets them
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "wandb.yaml"
    overrides = {"trainer.max_epochs": 1, "trainer.limit_train_batches": 3}
    write_wandb(read_sweep(write_sweep(tmp_path, overrides=overrides)), (), None, path)
    agent = Agent(api=None, queue=None, sweep_id="sw33p")
    agent._sweep_command = yaml.safe_load(path.read_text())["command"]
    chosen = {"model.latent_dim": {"value": 4}, "model.optimizer.lr": {"value": 0.01}}
    agent._command_run({"run_id": "tr1al", "program": "lightning-gen", "args": chosen})
    assert agent._run_processes["tr1al"].wait() == 0
    directory = only_run(tmp_path / "logs")
    held = Held(directory)
    assert (held.run.run_id, held.run.sweep_id) == ("tr1al", "sw33p")
    assert (held.run.job_type, held.run.display_name) == ("trial", "base/version_0")
    assert (held.config["model.latent_dim"], held.config["model.optimizer.lr"]) == (4, 0.01)
    assert held.config["model"]["init_args"]["latent_dim"] == 4
    assert held.history["val/loss"] == [*column(directory, "val/loss").values()]
