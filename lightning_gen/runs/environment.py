"""What would be needed to repeat a run, beside its configuration."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

JOBS = {
    "slurm": ("SLURM_JOB_ID", "SLURM_RESTART_COUNT"),
    "torchrun": ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"),
}
"""The variables with a job's number and with how often it was started again."""
PACKAGES = ("lightning-gen", "torch", "torchvision", "lightning", "torchmetrics", "numpy", "pillow")


def describe_environment(seed: int | None, devices: list[str], world_size: int) -> dict[str, Any]:
    """Versions, devices, git commit, seed and command line, as plain values."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "seed": seed,
        "job": job(),
        "git_commit": git_commit(Path.cwd()),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: version(name) for name in PACKAGES},
        "processor": processor(),
        "cuda": torch.version.cuda,
        "devices": devices,
        "world_size": world_size,
        "cpu_threads": torch.get_num_threads(),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


def job() -> str | None:
    """The job of a cluster that this process belongs to, the same after it was requeued."""
    for scheduler, (variable, _) in JOBS.items():
        if variable in os.environ:
            return f"{scheduler} {os.environ[variable]}"
    return None


def is_restart() -> bool:
    """Whether the cluster has started this job before."""
    return any(os.environ.get(restarts, "0") != "0" for _, restarts in JOBS.values())


def git_commit(folder: Path) -> str | None:
    """The commit checked out at ``folder``, with "+changes" where files differ from it."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        return f"{commit}+changes" if git("status", "--porcelain", "-uno") else commit
    except (OSError, subprocess.CalledProcessError):
        return None


def processor() -> str:
    """The name of the processor, as the system gives it."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
