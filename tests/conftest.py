"""What all tests share. The import hook must run before anything imports lightning_gen."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("MPLCONFIGDIR", str(Path("~/.cache/matplotlib").expanduser()))
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="caches-")  # the user's own stays as it is
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the networks are small, and threads that wait for
# a core cost more: here and in the processes that the tests start

from jaxtyping import install_import_hook

# Every call's shapes and types are checked against the annotations while the tests run. Left out:
# cli and runs, whose annotations jsonargparse reads, and errors and hyperparameters, which
# annotate no tensor. beartype wants each Protocol that annotates something runtime-checkable, and
# the name of the class in place of Self.
ROOMS = (
    *("callbacks", "contracts", "data", "features", "figures", "latent", "metrics", "models"),
    *("networks", "noise", "objectives", "views"),
)
install_import_hook([f"lightning_gen.{room}" for room in ROOMS], "beartype.beartype")

import pytest  # noqa: E402  (after the hook)
import torch  # noqa: E402
from hypothesis import settings  # noqa: E402

from support import leftovers  # noqa: E402
from support.command import SMALL, Answer, only_run  # noqa: E402
from support.slurm import cluster  # noqa: E402, F401  (a fixture)

settings.register_profile("tests", deadline=None, derandomize=True, max_examples=30, database=None)
settings.load_profile("tests")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


def pytest_unconfigure():
    shutil.rmtree(os.environ["XDG_CACHE_HOME"], ignore_errors=True)


def pytest_configure(config):
    if not hasattr(config, "workerinput"):  # of pytest-xdist
        os.environ[leftovers.VARIABLE] = str(os.getpid())
        config.stash[leftovers.BEFORE] = leftovers.files()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session):
    """Fail a session that leaves a process, or a file in the checkout."""
    result = yield  # the workers have ended after it
    if leftovers.BEFORE in session.config.stash:
        left = [
            *leftovers.processes(),
            *(leftovers.files() - session.config.stash[leftovers.BEFORE]),
        ]
        if left:
            print(f"\nERROR: the tests have left {', '.join(map(str, left))}")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
    return result


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _end_of_wandb():
    """The process of W&B's service lives as long as the one that started it, unless it is told."""
    yield
    if "wandb" in sys.modules:
        sys.modules["wandb"].teardown()


@pytest.fixture
def shared_data():
    """The folder with the real MNIST and Fashion-MNIST, read-only."""
    if not (SHARED_DATA / "MNIST" / "raw").is_dir():
        pytest.skip("real MNIST and Fashion-MNIST are not at ../shared/data")
    return SHARED_DATA


@pytest.fixture
def in_tmp(tmp_path, monkeypatch):
    """The current folder is ``tmp_path``; what Lightning sets in the environment is taken back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    monkeypatch.setenv("PL_SEED_WORKERS", "0")
    return tmp_path


@pytest.fixture(scope="session")
def main():
    """``lightning-gen`` as a function; Lightning logs to the stderr that it is imported under."""
    import lightning_gen.cli.training
    from lightning_gen.cli import main

    assert lightning_gen.cli.training
    return main


@pytest.fixture
def command(main, in_tmp, capsys):
    """Runs ``lightning-gen`` in this process, in ``tmp_path``."""

    def run(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Answer(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def train(main):
    """Runs commands that must go well in a folder, which is then to be read only."""

    def run(folder, *commands):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setenv("PL_GLOBAL_SEED", "0")
            patch.setenv("PL_SEED_WORKERS", "0")
            for words in commands:
                assert main([str(word) for word in words]) == 0, words
        return folder

    return run


@pytest.fixture(scope="session")
def finished(train, tmp_path_factory):
    """A finished run of the words SMALL, to be read only."""
    return only_run(train(tmp_path_factory.mktemp("finished"), ["fit", *SMALL]) / "logs")
