"""Whatever is wrong with a configuration, the command ends with one line and never a traceback."""

import os
import socket

import pytest

from lightning_gen.allowed import VARIABLE
from support.mutations import answer, mutants


def refuse(*arguments, **options):
    raise OSError("the tests have no network")


@pytest.fixture
def faults(main, in_tmp, monkeypatch):
    """Runs a number of mutants of a seed; what the command did wrong."""
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.delenv(VARIABLE, raising=False)

    def run(seed, number):
        before = os.getcwd()
        answers = [
            (each, answer(main, each, in_tmp / "own.yaml")) for each in mutants(seed, number)
        ]
        assert (os.getcwd(), os.environ.get(VARIABLE)) == (before, None)
        assert {code for _, (code, *_) in answers} >= {0, 2}
        return [
            f"{each.said}\n  {found.fault}\n  {found.line}"
            for each, found in answers
            if found.fault
        ]

    return run


def test_some_mistakes(faults):
    assert faults(0, 25) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
def test_many_mistakes(seed, faults):
    assert faults(seed, 200) == []
