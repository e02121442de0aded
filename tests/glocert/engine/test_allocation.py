"""The allocator's settings, each in a process of its own: they hold for all of it."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import subprocess
import sys

import pytest

from glocert.engine.allocation import keep_memory

glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or not hasattr(ctypes.CDLL(None), "mallinfo2"),
    reason="another C library, or an old one",
)
FREED = """
import ctypes, json, sys
import torch
from glocert.engine.allocation import keep_memory

class Account(ctypes.Structure):  # struct mallinfo2
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks",
        "keepcost",
    )]

def held():
    ask = ctypes.CDLL(None).mallinfo2
    ask.restype = Account
    account = ask()
    return account.arena + account.hblkhd  # of the heap, and mapped one by one

said = [keep_memory(), keep_memory()] if sys.argv[1] == "keep" else []
keep_memory.cache_clear()
said += [keep_memory()] if said else []
kept = [torch.ones(2**20) for _ in range(20)]  # 80 MiB, freed together
del kept
print(json.dumps([said, held()]))
"""


def ask(way: str, **environment: str) -> tuple[list[bool], int]:
    """Return what a process says of keeping memory, and the bytes that it holds in the end."""
    unset = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-W", "ignore", "-c", FREED, way]
    done = subprocess.run(command, env={**unset, **environment}, check=True, capture_output=True, text=True)
    said, held = json.loads(done.stdout)
    return said, held


@glibc
def test_freed_memory_is_kept():
    """By the C library's own account: not every kernel counts page faults."""
    said, held = ask("keep")
    assert said == [True, True, True]
    assert held > 80 * 2**20
    assert ask("leave")[1] < held - 60 * 2**20


@glibc
@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_settings_of_the_environment_stay(name):
    value = "1000000" if name.startswith("MALLOC") else "glibc.malloc.trim_threshold=1000000"
    said, _ = ask("keep", **{name: value})
    assert said == [False, False, False]


@pytest.mark.parametrize("library", ["", "musl"])
def test_other_systems_are_left_alone(library):
    assert keep_memory(library) is False
