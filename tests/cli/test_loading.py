"""What the command does to import its verbs."""

import gc
import sys

import pytest

from lightning_gen.cli import loaded


@pytest.fixture
def module(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path / "some_verb.py"
    sys.modules.pop("some_verb", None)
    gc.unfreeze()


def test_garbage_is_looked_for_afterwards_only(module):
    module.write_text("import gc\ncollecting = gc.isenabled()\n")
    assert gc.isenabled()
    assert not loaded("some_verb").collecting
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0


def test_what_was_loaded_is_not_frozen_again(module):
    module.write_text("")
    first = loaded("some_verb")
    gc.unfreeze()
    assert loaded("some_verb") is first
    assert gc.get_freeze_count() == 0


def test_the_collector_is_left_as_it_was(module):
    module.write_text("raise KeyError('broken')")
    with pytest.raises(KeyError, match="broken"):
        loaded("some_verb")
    assert gc.isenabled()
    module.write_text("")
    gc.disable()
    try:
        loaded("some_verb")
        assert not gc.isenabled()
    finally:
        gc.enable()
