"""How long one waits: ``lightning-gen --help``, and ``fit`` to the end of its first training step.

    python benchmarks/startup.py --json startup.json

Each is a fresh process, measured in turn with the imports beside it, from a warm disk: the first
round is not counted. The first step is that of the dense VAE's experiment as anybody would run it,
with all pictures, checkpoints and the progress bar; its Adam ends the process after the step.
"""

import os
import tempfile
import time
from typing import Any

import torch
from common import (
    DENSE,
    alternate,
    arguments,
    finish,
    in_words,
    print_table,
    quotients,
    run_python,
    spread,
)
from usual_data import fashion_mnist_words

TARGETS = {"--help": 2.0, "first training step": 12.0}
IMPORTS = "import torch, lightning.pytorch"


class OneStep(torch.optim.Adam):
    """Adam whose first step ends the process."""

    def step(self, closure: Any = None) -> Any:
        """Update, and end."""
        super().step(closure)
        os._exit(0)


def seconds_of(words: list[str]) -> float:
    """Of ``python WORDS``, from its start to its end."""
    with tempfile.TemporaryDirectory() as folder:
        words = [word.replace("FOLDER", folder) for word in words]
        started = time.perf_counter()
        run_python(words)
        return time.perf_counter() - started


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="processes of each that count")
    args = parser.parse_args()
    fit = ["fit", "--config", str(DENSE), *fashion_mnist_words(args.root)]
    fit += ["--allow", "startup", "--model.optimizer", "startup.OneStep"]
    fit += ["--trainer.accelerator", "cpu", "--trainer.default_root_dir", "FOLDER"]
    commands = {
        **{code or "python": ["-c", code] for code in ("", "import torch", IMPORTS)},
        "--help": ["-m", "lightning_gen", "--help"],
        "first training step": ["-m", "lightning_gen", *fit],
    }
    tasks = {name: lambda words=words: seconds_of(words) for name, words in commands.items()}
    measured = alternate(tasks, args.repeats + 1)
    rows = [["", "seconds", "over importing torch and Lightning", "target"]]
    results = {}
    for name, (_, *seconds) in measured.items():
        ratio, target = spread(quotients(seconds, measured[IMPORTS][1:])), TARGETS.get(name)
        results[name] = {"seconds": spread(seconds), "over_imports": ratio, "target": target}
        most = "" if target is None else f"at most {target:.0f} s"
        rows.append([name, in_words(spread(seconds)), in_words(ratio), most])
    print_table(rows)
    finish(args, {"repeats": args.repeats, "waits": results})


if __name__ == "__main__":
    main()
