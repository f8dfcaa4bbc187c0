"""How much memory a training takes: the peak of ``lightning-gen fit`` on Fashion-MNIST.

    python benchmarks/memory.py --json memory.json

The run is the dense VAE's experiment, with all that the command line does by default and the test
at the end. Beside it stands what the imports take before anything is done.
"""

import argparse
import os
import subprocess
import sys
import tempfile

from common import DENSE, arguments, finish

TARGET = 1.2
IMPORTS = {
    "import torch": "import torch",
    "import torch, lightning.pytorch": "import torch, lightning.pytorch",
    "all imports of fit": "from lightning_gen import cli; cli.loaded('lightning_gen.cli.training')",
}


def peak(words: list[str]) -> float:
    """Peak resident memory of ``python WORDS`` in GB (10^9 bytes)."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen([sys.executable, *words], stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise SystemExit(f"python {' '.join(words)} failed:\n{output.read()}")
    unit = 1 if sys.platform == "darwin" else 1024
    return usage.ru_maxrss * unit / 1e9


def fit_words(args: argparse.Namespace, folder: str) -> list[str]:
    """The run, as words after ``python``."""
    words = ["-m", "lightning_gen", "fit", "--config", str(DENSE)]
    if args.mini:
        words += ["--data", "lightning_gen.data.MiniFashionMNIST"]
    else:
        words += ["--data.root", str(args.root), "--data.download", "false"]
    if args.batches is not None:
        words += ["--trainer.limit_train_batches", str(args.batches)]
    words += ["--trainer.accelerator", "cpu", "--trainer.max_epochs", str(args.epochs)]
    return [*words, "--trainer.default_root_dir", folder]


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__)
    parser.add_argument("--mini", action="store_true", help="train on the images of the package")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batches", type=int, help="of a training epoch, instead of all")
    args = parser.parse_args()
    imports = {name: peak(["-c", code]) for name, code in IMPORTS.items()}
    with tempfile.TemporaryDirectory() as folder:
        run = peak(fit_words(args, folder))
    for name, gigabytes in imports.items():
        print(f"{name:34}{gigabytes:6.2f} GB")
    print(f"{'fit, from start to end':34}{run:6.2f} GB, target at most {TARGET} GB")
    finish(args, {"fit_gb": run, "target_gb": TARGET, "imports_gb": imports})


if __name__ == "__main__":
    main()
