"""What the tests of the command share."""

import pytest

from support.command import SMALL, runs


@pytest.fixture
def fit(command, in_tmp):
    """Runs ``fit`` with small words, which goes well; the directory of the latest run."""

    def run(*words, name="run"):
        command("fit", *SMALL, "--name", name, *words).done()
        return runs(in_tmp / "logs")[-1]

    return run
