"""What a run asks of the cluster that it is on."""

import os
import shutil
import signal
import subprocess

from lightning.pytorch.utilities import rank_zero_info


def requeue() -> None:
    """Let Slurm start this job again, with the same number; nothing outside of Slurm.

    Slurm itself does so for a job that it preempts, and not for one whose time is over.
    """
    number = os.environ.get("SLURM_JOB_ID")
    if number is None or shutil.which("scontrol") is None:
        return
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # Slurm sends it before the answer is here
    answer = subprocess.run(["scontrol", "requeue", number], capture_output=True, text=True)
    if answer.returncode == 0:
        rank_zero_info(f"Slurm has queued job {number} again, which goes on by itself.")
    else:
        reason = " ".join(answer.stderr.split())
        rank_zero_info(f"Slurm did not queue job {number} again ({reason}). Submit it once more.")
