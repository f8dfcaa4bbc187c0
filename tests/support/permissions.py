"""Permission bits that bind root too."""

import ctypes
import sys
from contextlib import contextmanager
from itertools import product

import pytest

VERSION_3 = 0x20080522
OVERRIDES = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


class Header(ctypes.Structure):
    """Of capget(2): the calling thread."""

    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class Sets(ctypes.Structure):
    """Of capget(2): half of the bits of each set."""

    _fields_ = [*product(("effective", "permitted", "inheritable"), [ctypes.c_uint32])]


@contextmanager
def permissions_bind():
    """In the block this thread, and those that it starts, may do only what permission bits allow.

    For root this takes two capabilities away, and gives them back; for others it does nothing.
    """
    if sys.platform != "linux":
        pytest.skip("permission bits are made to bind on Linux only")
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = Header(VERSION_3, 0), (Sets * 2)()
    assert libc.capget(ctypes.byref(header), sets) == 0
    before = sets[0].effective
    sets[0].effective = before & ~OVERRIDES
    assert libc.capset(ctypes.byref(header), sets) == 0
    try:
        yield
    finally:
        sets[0].effective = before
        assert libc.capset(ctypes.byref(header), sets) == 0
