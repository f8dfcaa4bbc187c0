"""What a session of tests leaves behind, which is to be nothing."""

import os
import time
from pathlib import Path

import pytest

VARIABLE = "LIGHTNING_GEN_TEST_SESSION"
"""Tells a session's processes from others, since it is handed down."""

BEFORE = pytest.StashKey()
PROJECT = Path(__file__).parents[2]
MADE_BY_TOOLS = {
    *(".git", ".hypothesis", ".venv", "__pycache__"),
    *(".pytest_cache", ".mypy_cache", ".ruff_cache"),
}
PATIENCE = 15.0


def files():
    """The files of the checkout that no tool keeps for itself."""
    found = set()
    for folder, folders, names in os.walk(PROJECT):
        folders[:] = [f for f in folders if f not in MADE_BY_TOOLS and ".egg-info" not in f]
        found |= {Path(folder, name) for name in names}
    return found


def processes():
    """The processes of this session that do not end by themselves; they are ended."""
    until = time.monotonic() + PATIENCE
    while (found := _running()) and time.monotonic() < until:
        time.sleep(0.2)
    for number, _ in found:
        os.kill(number, 9)
    return [f"process {number}: {command}" for number, command in found]


def _running():
    mark = f"{VARIABLE}={os.getpid()}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            ours = mark in (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        # The servers of Python's multiprocessing end with the process that started them.
        ends_with_us = parent == os.getpid() and b"from multiprocessing." in command
        if ours and command and int(folder.name) != os.getpid() and not ends_with_us:
            found.append((int(folder.name), command.decode(errors="replace")[:120]))
    return found
