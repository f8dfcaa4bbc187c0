"""torchmetrics is run when it is needed, and then it is what it always is."""

import subprocess
import sys

import pytest

START = """
import sys
from lightning_gen.cli import loaded
loaded("lightning_gen.cli.training")
from lightning_gen.cli.deferred import Deferred
from lightning.pytorch.core.module import Metric, MetricCollection
torchmetrics = sys.modules["torchmetrics"]
"""
PARTS = (
    *("aggregation", "audio", "classification", "clustering", "detection", "functional", "image"),
    *("multimodal", "nominal", "regression", "retrieval", "segmentation", "shape", "text", "video"),
    *("wrappers", "collections", "metric", "utilities"),
)
EACH_PART = """
import os
from importlib import import_module
for part in {parts!r}:
    if os.fork() == 0:
        try:
            import_module("torchmetrics." + part)
            from torchmetrics import Accuracy
            assert issubclass(Accuracy, Metric)
        except BaseException as error:
            print(part, repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    _, status = os.wait()
    assert status == 0, part
"""


def run(code, start=START):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", start + code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split()


def test_a_verb_imports_no_metrics_scipy_or_scikit_learn():
    heavy = ("scipy", "sklearn", "torchmetrics.functional", "wandb", "optuna")
    assert run(f"print(*(name for name in {heavy} if name in sys.modules))") == []


def test_all_of_it_is_there_when_something_else_is_asked_for():
    code = (
        "assert type(torchmetrics) is Deferred\n"
        "from torchmetrics import Accuracy\n"
        "assert type(torchmetrics) is not Deferred\n"
        "assert torchmetrics.Metric is Metric and issubclass(Accuracy, Metric)\n"
        "assert torchmetrics.MetricCollection is MetricCollection\n"
        "collection = MetricCollection({'a': Accuracy('multiclass', num_classes=2)})\n"
        "import torch\n"
        "found = collection(torch.tensor([0, 1]), torch.tensor([0, 0]))\n"
        "print(found['a'].item(), torchmetrics.__version__)\n"
    )
    accuracy, version = run(code)
    assert float(accuracy) == 0.5
    assert version[0].isdigit()


def test_a_version_that_has_its_classes_elsewhere_is_run():
    code = (
        "from lightning_gen.cli import deferred\n"
        "deferred.CLASSES['Metric'] = 'torchmetrics.no_such_file'\n"
        "deferred.defer_torchmetrics()\n"
        "from torchmetrics import Metric, Accuracy\n"
        "import torchmetrics\n"
        "print(issubclass(Accuracy, Metric), type(torchmetrics).__name__)\n"
    )
    assert run(code, start="") == ["True", "module"]


@pytest.mark.slow
def test_each_part_can_be_imported_first():
    assert run(EACH_PART.format(parts=PARTS)) == []


def test_what_does_not_exist_is_an_attribute_error():
    assert run("print(hasattr(torchmetrics, 'no_such_metric'))") == ["False"]
