"""How long one waits: ``lightning-gen --help``, and ``fit`` to the end of its first training step.

    python benchmarks/startup.py --json startup.json

Each is a fresh process, measured in turn with the imports beside it, from a warm disk: the first
round is not counted. The first step is that of the dense VAE's experiment as anybody would run it,
with all pictures, checkpoints and the progress bar; its Adam says when the step ended and ends the
process. The target of ``--help`` is that of the whole process, that of the first step is from the
start of the process to the end of the step.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

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
from timed_adam import LAST, VARIABLE, WORDS, read_steps
from usual_data import fashion_mnist_words

TARGETS = {"--help": 2.0, "first training step": 12.0}
CODE = {
    "python": "",
    "import torch": "import torch",
    "import torch, lightning.pytorch": "import torch, lightning.pytorch",
}


def seconds_of(words: list[str]) -> float:
    """Of ``python WORDS``, from its start to its end."""
    started = time.perf_counter()
    run_python(words)
    return time.perf_counter() - started


def first_step(root: Path) -> float:
    """Seconds from the start of a fit to the end of its first training step."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "steps"
        words = ["-m", "lightning_gen", "fit", "--config", str(DENSE), *fashion_mnist_words(root)]
        words += [*WORDS, "--trainer.accelerator", "cpu", "--trainer.default_root_dir", folder]
        started = time.time()
        run_python(words, **{VARIABLE: str(file), LAST: "1"})
        return read_steps(file)[0][0] - started


def measure(args: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds of each, in each round but the first."""
    tasks: dict[str, Callable[[], float]] = {
        name: lambda code=code: seconds_of(["-c", code]) for name, code in CODE.items()
    }
    tasks["--help"] = lambda: seconds_of(["-m", "lightning_gen", "--help"])
    tasks["first training step"] = lambda: first_step(args.root)
    return {name: found[1:] for name, found in alternate(tasks, args.repeats + 1).items()}


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="processes of each that count")
    args = parser.parse_args()
    measured = measure(args)
    imports = measured["import torch, lightning.pytorch"]
    rows = [["", "seconds", "over importing torch and Lightning", "target"]]
    results = {}
    for name, seconds in measured.items():
        ratio, target = spread(quotients(seconds, imports)), TARGETS.get(name)
        results[name] = {"seconds": spread(seconds), "over_imports": ratio, "target": target}
        most = "" if target is None else f"at most {target:.0f} s"
        rows.append([name, in_words(spread(seconds)), in_words(ratio), most])
    print_table(rows)
    finish(args, {"repeats": args.repeats, "waits": results})


if __name__ == "__main__":
    main()
