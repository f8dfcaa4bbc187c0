"""A Slurm of two nodes on this machine, with all of its state in a folder of its own."""

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from support.command import CONF

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol")
NODES = ("n1", "n2")

SLURM_CONF = """
ClusterName=two
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=20
ReturnToService=2
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
GresTypes=gpu
{nodes}
PartitionName=low Nodes=ALL Default=YES PriorityTier=1 MaxTime=30
PartitionName=high Nodes=ALL PriorityTier=2 PreemptMode=OFF MaxTime=30
"""
NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=4 Gres=gpu:2 "
    "State=UNKNOWN"
)

STAND_INS = "Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n"
"""Devices that Slurm takes for two GPUs of each node."""


class Cluster:
    """The daemons, and jobs that run on them; root starts it. All that it writes is in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = own_programs() | {"SLURM_CONF": str(folder / "slurm.conf")}
        self._daemons = []

    def start(self):
        """Write slurm.conf, start the daemons, wait for the nodes."""
        host = socket.gethostname().partition(".")[0]
        first, *ports = free_ports(1 + len(NODES))
        each = zip(NODES, ports, strict=True)
        nodes = [NODE.format(name=name, host=host, port=port) for name, port in each]
        text = SLURM_CONF.format(host=host, port=first, folder=self.folder, nodes="\n".join(nodes))
        (self.folder / "slurm.conf").write_text(text)
        (self.folder / "gres.conf").write_text(STAND_INS)
        for name in ("state", *(f"spool.{node}" for node in NODES)):
            (self.folder / name).mkdir()
        self._munge()
        self._daemon("slurmctld", "-D", "-c")
        for node in NODES:
            self._daemon("slurmd", "-D", "-N", node)
        self.wait(lambda: self._states() == ["idle"] * len(NODES), 60, "idle nodes")

    def _states(self):
        with suppress(subprocess.SubprocessError):  # slurmctld does not answer yet
            return self("sinfo", "-hNp", "low", "-o", "%T").split()
        return []

    def _munge(self):
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        files = {"socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        words = [f"--{option}={self.folder}/munge.{file}" for option, file in files.items()]
        self._daemon("munged", "--foreground", "--force", f"--key-file={key}", *words)
        self.wait((self.folder / "munge.socket").exists, 20, "munged")

    def _daemon(self, *words):
        with (self.folder / f"{words[0]}-{len(self._daemons)}.out").open("w") as out:
            process = subprocess.Popen(
                words, stdout=out, stderr=out, env=self.environment, cwd=self.folder
            )
        self._daemons.append(process)

    def stop(self):
        """End all jobs and daemons, those last that the others need."""
        with suppress(subprocess.SubprocessError, pytest.fail.Exception):
            self("scancel", "--user=root")
            self("scancel", "--signal=KILL", "--full", "--user=root")
            self.wait(lambda: not self("squeue", "-h"), 30, "an empty queue")
        for process in reversed(self._daemons):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def __call__(self, *words, cwd=None):
        """What a program of Slurm prints."""
        words = [str(word) for word in words]
        place = {"cwd": cwd or self.folder, "env": self.environment}
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, **place)
        if done.returncode:
            raise subprocess.SubprocessError(f"{words}: {done.stdout}{done.stderr}")
        return done.stdout

    def submit(self, *words, cwd):
        """The number of a new job."""
        return int(self("sbatch", "--parsable", *words, cwd=cwd))

    def job(self, number):
        """The properties of a job."""
        words = self("scontrol", "show", "job", number, "-o").split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def wait(self, condition, seconds, what, files=()):
        """Wait until a condition holds; fail with all that was logged where it never does."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                pytest.fail(f"waited {seconds} s for {what}\n{self.logs(files)}")
            time.sleep(0.3)

    def logs(self, files=()):
        """The ends of the daemons' logs, and of further files."""
        parts = []
        for path in (*sorted(self.folder.glob("*.out")), *files):
            text = path.read_text(errors="replace") if path.is_file() else "(no such file)"
            parts.append(f"--- {path}\n{text[-6000:]}")
        with suppress(subprocess.SubprocessError):
            parts.append(self("squeue", "-o", "%i %T %r %S"))
        return "\n".join(parts)


def own_programs():
    """The variables of a process that finds this lightning_gen and its programs."""
    kept = {name: v for name, v in os.environ.items() if not name.startswith("SLURM_")}
    return kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(CONF.parent),
    }


def free_ports(number):
    """Ports that nothing listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A running Slurm of two nodes."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)} on PATH: apt-get install slurm-wlm munge")
    if os.geteuid() != 0:
        pytest.skip("Slurm's daemons are started by root")
    slurm = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        slurm.start()
        yield slurm
    finally:
        slurm.stop()
