"""Put the weights of a trained Classifier into the package, and how they came about beside them.

python benchmarks/ship_classifier.py fashion_mnist_classifier
"""

import argparse
import sys
from pathlib import Path

import torch
import yaml
from common import describe_machine

from lightning_gen.atomic import draft, write_text
from lightning_gen.runs import RunDirectory
from lightning_gen.runs.metrics_file import read_rows

WEIGHTS = Path(__file__).parents[1] / "lightning_gen" / "features" / "weights"


def main() -> None:
    """Copy what the features need: no optimizer, no random state."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", help="run directory, or the name of a run")
    parser.add_argument("--name", help="of the files (default: the run's)")
    parser.add_argument("--folder", type=Path, default=WEIGHTS, help="default: the package's")
    args = parser.parse_args()

    run = RunDirectory.of(Path(args.run))
    name = args.name or run.path.resolve().parent.name
    content = torch.load(run.best, map_location="cpu", weights_only=True)
    kept = {key: content[key] for key in ("state_dict", "hyper_parameters")}
    with draft(args.folder / f"{name}.ckpt") as unfinished:
        torch.save(kept, unfinished)
    config = yaml.safe_load((run.path / "config.yaml").read_text(encoding="utf-8"))
    accuracy = [row["test/accuracy"] for row in read_rows(run.metrics) if row["test/accuracy"]][-1]
    about = {
        "test_accuracy": round(float(accuracy), 4),
        "trained": describe_machine(),
        "config": {key: config[key] for key in ("seed_everything", "model", "data")}
        | {"trainer": {"max_epochs": config["trainer"]["max_epochs"]}},
    }
    write_text(args.folder / f"{name}.yaml", yaml.safe_dump(about, sort_keys=False))
    weights = args.folder / f"{name}.ckpt"
    print(f"{weights}  {weights.stat().st_size:,} bytes")


if __name__ == "__main__":
    sys.exit(main())
