"""Adam that says when its steps end: the real command with nothing else changed.

LIGHTNING_GEN_STEPS=steps.json lightning-gen fit ... --allow timed_adam
    --model.optimizer timed_adam.TimedAdam
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import torch

VARIABLE = "LIGHTNING_GEN_STEPS"
"""The file for the times."""
LAST = "LIGHTNING_GEN_LAST_STEP"
"""The process ends after so many steps."""
WORDS = ("--allow", "timed_adam", "--model.optimizer", "timed_adam.TimedAdam")


class TimedAdam(torch.optim.Adam):
    """Adam with a clock; its process ends after the last step that is asked for.

    Where several processes train, each writes a file of its own: the rank stands after the name.
    """

    def __init__(self, params: Any, lr: float = 1e-3) -> None:
        super().__init__(params, lr)
        self.ends: list[float] = []

    def step(self, closure: Any = None) -> Any:
        """Step, wait for a GPU, note the time."""
        answer = super().step(closure)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.time())
        if len(self.ends) == int(os.environ[LAST]):
            rank = os.environ.get("LOCAL_RANK", "0")
            file = Path(f"{os.environ[VARIABLE]}.{rank}")
            draft = file.with_name(f"{file.name}.draft")
            draft.write_text(json.dumps(self.ends), encoding="utf-8")
            draft.rename(file)
            os._exit(0)
        return answer


def read_steps(file: Path, processes: int = 1, patience: float = 60) -> list[list[float]]:
    """The ends of the steps of each process, as time.time() has them.

    The other processes may end a little after the first, which is the one that was started.
    """
    names = [Path(f"{file}.{rank}") for rank in range(processes)]
    deadline = time.time() + patience
    while not all(name.is_file() for name in names):
        if time.time() > deadline:
            raise SystemExit(f"{processes} processes were to write {file}, not all of them did.")
        time.sleep(0.1)
    return [json.loads(name.read_text(encoding="utf-8")) for name in names]
