"""What would be needed to repeat a run, beside its configuration."""

import os
import platform
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
    """The commit checked out at ``folder``, read from git's files; None where there is none.

    git itself is not run: the configuration of a repository can name programs that it starts.
    """
    try:
        git = next((p / ".git" for p in (folder, *folder.parents) if (p / ".git").exists()), None)
        if git is None:
            return None
        if git.is_file():  # of a worktree or a submodule
            git = git.parent / git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        return commit_of(git, head.removeprefix("ref: ")) if head.startswith("ref: ") else head
    except (OSError, ValueError):
        return None


def commit_of(git: Path, branch: str) -> str | None:
    """The commit of a branch, such as refs/heads/main, by the files of a repository."""
    if ".." in branch:
        return None
    shared = git / "commondir"
    roots = [git, git / shared.read_text(encoding="utf-8").strip()] if shared.is_file() else [git]
    for root in roots:
        if (root / branch).is_file():
            return (root / branch).read_text(encoding="utf-8").strip()[:64]
        packed = root / "packed-refs"
        for line in packed.read_text(encoding="utf-8").splitlines() if packed.is_file() else ():
            commit, _, name = line.partition(" ")
            if name == branch:
                return commit
    return None


def processor() -> str:
    """The name of the processor, as the system gives it."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
