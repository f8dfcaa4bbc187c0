"""Trainings of two nodes, under a real Slurm and under torchrun."""

import json
import subprocess

import pytest
import torch

from support.command import CONF, rows, runs
from support.nodes import two_nodes
from support.slurm import free_ports, own_programs

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("slurm")]

SCRIPT = "conf/slurm/train.sbatch"
STEPS = 30
CONFIG = f"""
model:
  class_path: VAE
  init_args: {{latent_dim: 2, architecture: {{class_path: Dense, init_args: {{widths: [8]}}}}}}
data: {{class_path: MiniFashionMNIST, init_args: {{batch_size: 50}}}}
trainer: {{max_epochs: 3, limit_train_batches: {STEPS // 3}, limit_val_batches: 2,
  limit_test_batches: 2, log_every_n_steps: 1, enable_progress_bar: false, callbacks: slow.Slow}}
"""
SLOW = """
import os, time
from pathlib import Path
from lightning.pytorch import Callback

START = os.getenv("SLURM_RESTART_COUNT", "0")

class Slow(Callback):
    steps = 0

    def on_train_batch_end(self, trainer, *others):
        time.sleep(0.2)
        self.steps += 1
        if self.steps == 4 and trainer.is_global_zero:
            Path(f"trains-{trainer.loggers[0].name}-{START}").touch()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder as the README wants it, with a configuration whose steps take their time."""
    place = tmp_path_factory.mktemp("project")
    (place / "conf").symlink_to(CONF)
    (place / "logs").mkdir()
    (place / "small.yaml").write_text(CONFIG)
    (place / "slow.py").write_text(SLOW)
    return place


class Training:
    """A job of the shipped script, on two nodes without GPUs."""

    def __init__(self, slurm, folder, name, *more):
        self.slurm, self.folder, self.name = slurm, folder, name
        words = ("--nodes", "2", SCRIPT, "--allow", "slow", "--config", "small.yaml")
        words += ("--name", name, *more)
        self.number = slurm.submit(*words, cwd=folder)
        self.output = folder / "logs" / f"slurm-{self.number}.out"

    def wait_for_steps(self, start):
        """Wait until it has done some steps since it was started for this time."""
        sign = self.folder / f"trains-{self.name}-{start}"
        self._wait(lambda: sign.exists() or self._ended(), f"steps of {sign.name}")
        if not sign.exists():
            pytest.fail(f"the job ended\n{self.slurm.logs([self.output])}")

    def finish(self):
        """Wait until it has ended well; the run's directory."""
        self._wait(self._ended, f"job {self.number} to end")
        job = self.slurm.job(self.number)
        if job["JobState"] != "COMPLETED":
            pytest.fail(f"{job}\n{self.slurm.logs([self.output])}")
        return only_run_of(self.folder, self.name)

    def _ended(self):
        return self.slurm.job(self.number)["JobState"] in {"COMPLETED", "FAILED", "CANCELLED"}

    def _wait(self, condition, what):
        self.slurm.wait(condition, 100, what, [self.output])


def only_run_of(folder, name):
    found = [path for path in runs(folder / "logs") if path.parent.name == name]
    assert [path.name for path in found] == ["version_0"]
    return found[0]


def parameters(directory):
    path = directory / "checkpoints" / "last.ckpt"
    return torch.load(path, weights_only=True, map_location="cpu")["state_dict"]


def assert_same(directory, other):
    """Both runs did the same steps, and ended with the same bits."""
    assert rows(directory) == rows(other)
    mine, others = parameters(directory), parameters(other)
    assert mine.keys() == others.keys()
    for name, values in mine.items():
        assert torch.equal(values, others[name]), name


@pytest.mark.parametrize(
    ("asked", "processes", "devices", "threads"),
    [
        ((), 1, "", 1),
        (("--ntasks-per-node", "2", "--cpus-per-task", "2"), 2, "", 2),
        (("--gpus-per-node", "2"), 2, "0,1", 1),
        (("--gpus-per-node", "2", "--cpus-per-gpu", "2"), 2, "0,1", 2),
        (("--gpus-per-node", "2", "--ntasks-per-gpu", "1"), 2, "0,1", 1),
        (("--gpus-per-task", "1", "--ntasks-per-node", "2"), 2, "0,1", 1),
    ],
)
def test_the_processes_of_a_job(asked, processes, devices, threads, cluster, folder, tmp_path):
    """In place of lightning-gen a program that says what it was given."""
    (tmp_path / "lightning-gen").write_text(SAYS)
    (tmp_path / "lightning-gen").chmod(0o755)
    export = f"ALL,PATH={tmp_path}:/usr/bin:/bin,OMP_NUM_THREADS="
    words = ("--nodes", "2", "--export", export, "-o", tmp_path / "out", *asked)
    number = cluster.submit(*words, SCRIPT, "--config", "my own.yaml", cwd=folder)
    cluster.wait(lambda: cluster.job(number)["JobState"] == "COMPLETED", 60, f"job {number}")
    said = sorted((tmp_path / "out").read_text().splitlines())
    options = f"--trainer.num_nodes 2 --trainer.devices {processes}"
    assert said == [
        f"{rank} {rank // processes} {rank % processes} of {2 * processes} at 127.0.0.1, "
        f"GPUs {devices}, threads {threads}: fit --config my own.yaml "
        f"--trainer slurm {options}"
        for rank in range(2 * processes)
    ]


SAYS = """#!/bin/bash
echo "$SLURM_PROCID $SLURM_NODEID $SLURM_LOCALID of $SLURM_NTASKS at $MASTER_ADDR," \\
    "GPUs $CUDA_VISIBLE_DEVICES, threads $OMP_NUM_THREADS: $*"
"""


@pytest.fixture(scope="module")
def whole(cluster, folder):
    """The run of a job that nothing disturbs."""
    return Training(cluster, folder, "whole").finish()


def test_a_job_of_two_nodes(whole):
    for name in ("config.yaml", "metrics.csv", "checkpoints/best.ckpt", "checkpoints/last.ckpt"):
        assert (whole / name).stat().st_size > 0, name
    environment = json.loads((whole / "environment.json").read_text())
    assert environment["world_size"] == 2
    assert [int(row["step"]) for row in rows(whole)] == list(range(STEPS + 1))
    assert not list(whole.parents[1].glob("*.ckpt"))  # Lightning's own


def test_a_job_that_is_stopped_twice_ends_as_if_it_was_not(whole, cluster, folder):
    """By the signal before a time limit, and by a job of a higher partition."""
    shown = ("--trainer.logger", "conf/logger/wandb.yaml", "--trainer.logger.offline", "true")
    training = Training(cluster, folder, "stopped", *shown)
    training.wait_for_steps(0)
    cluster("scancel", "--signal=USR1", training.number)  # the tasks get it, as from --signal
    training.wait_for_steps(1)
    other = cluster.submit("-p", "high", "-N", "2", "--exclusive", "--wrap", "true", cwd=folder)
    training.wait_for_steps(2)
    directory = training.finish()
    assert_same(directory, whole)
    shown = list(directory.glob("wandb/offline-run-*-*"))
    assert len(shown) == 3, "a start is not shown in W&B"
    assert len({path.name.rpartition("-")[2] for path in shown}) == 1, "several runs of W&B"
    lines = training.output.read_text()
    assert f"Slurm has queued job {training.number} again" in lines
    assert lines.count("lightning-gen fit: SIGUSR1 ended the run after step ") == 1, lines
    assert lines.count("lightning-gen fit: SIGTERM ended the run after step ") == 1, lines
    assert cluster.job(training.number)["Restarts"] == "2"
    assert cluster.job(other)["JobState"] == "COMPLETED"


def test_torchrun_trains_the_same(whole, folder):
    fit = "lightning-gen fit --allow slow --config small.yaml --name torchrun"
    fit += " --trainer slurm --trainer.accelerator cpu --trainer.devices 1"
    fit += " --trainer.num_nodes 2"
    outputs = [folder / f"torchrun-{rank}.out" for rank in range(2)]
    with two_nodes() as (prefixes, address, variables):
        (port,) = free_ports(1)
        processes = []
        for rank, prefix in enumerate(prefixes):
            torchrun = f"torchrun --nnodes 2 --nproc-per-node 1 --node-rank {rank} --no-python"
            torchrun += f" --master-addr {address} --master-port {port}"
            with outputs[rank].open("w") as out:
                process = subprocess.Popen(
                    [*prefix, *torchrun.split(), *fit.split()],
                    cwd=folder,
                    env=own_programs() | variables,
                    stdout=out,
                    stderr=out,
                )
            processes.append(process)
        try:
            codes = [process.wait(100) for process in processes]
        except subprocess.TimeoutExpired:
            codes = None
        for process in processes:
            process.terminate()  # which torchrun hands on
            process.wait()
    assert codes == [0, 0], "\n".join(path.read_text() for path in outputs)
    assert_same(only_run_of(folder, "torchrun"), whole)
