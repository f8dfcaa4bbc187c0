"""Two machines, as far as a network can tell."""

import os
import shutil
import subprocess
from contextlib import contextmanager


@contextmanager
def two_nodes():
    """For each node the words before a command, the address of the first, and the variables.

    The nodes are network namespaces that a cable joins, or this machine twice where they cannot be
    made. Gloo is told the interface: it would take the address of the host's name, which is that
    of the loopback in both.
    """
    names = [f"node{number}-{os.getpid()}" for number in range(2)]
    try:
        try:
            _join(*names)
        except (OSError, subprocess.SubprocessError):
            yield [[], []], "127.0.0.1", {}
            return
        prefixes = [["ip", "netns", "exec", name] for name in names]
        yield prefixes, "10.211.0.1", {"GLOO_SOCKET_IFNAME": "cable"}
    finally:
        for name in names if shutil.which("ip") else ():
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def _join(first, second):
    ends = f"cable netns {first} type veth peer name cable netns {second}"
    _ip("netns", "add", first)
    _ip("netns", "add", second)
    _ip("link", "add", *ends.split())
    for number, name in enumerate((first, second), 1):
        _ip("-n", name, "address", "add", f"10.211.0.{number}/24", "dev", "cable")
        for device in ("lo", "cable"):
            _ip("-n", name, "link", "set", device, "up")


def _ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)
