"""The allocator's settings, each in a process of its own: they hold for all of it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys

import pytest

from glocert.engine.allocation import keep_memory

GLIBC = platform.libc_ver()[0] == "glibc"
FAULTS = """
import json, resource, sys
import torch
from glocert.engine.allocation import keep_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        kept = [torch.ones(2**20) for _ in range(20)]  # 80 MiB, freed together
        del kept
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

said = [keep_memory(), keep_memory()] if sys.argv[1] == "keep" else []
keep_memory.cache_clear()
said += [keep_memory()] if said else []
faults()
print(json.dumps([said, faults()]))
"""


def ask(way: str, **environment: str) -> tuple[list[bool], int]:
    """Return what a process says of keeping memory, and its page faults when it frees and asks again."""
    unset = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-W", "ignore", "-c", FAULTS, way]
    done = subprocess.run(command, env={**unset, **environment}, check=True, capture_output=True, text=True)
    said, faults = json.loads(done.stdout)
    return said, faults


@pytest.mark.skipif(not GLIBC, reason="another C library")
def test_freed_memory_is_not_taken_anew():
    """Twenty times 80 MiB are 400,000 pages; also where it is asked for again and again."""
    said, faults = ask("keep")
    assert said == [True, True, True]
    left = ask("leave")[1]
    assert faults < left
    assert faults < 20_000 or faults < left / 2  # other processes may have it take a few more


@pytest.mark.skipif(not GLIBC, reason="another C library")
@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_settings_of_the_environment_stay(name):
    value = "1000000" if name.startswith("MALLOC") else "glibc.malloc.trim_threshold=1000000"
    said, _ = ask("keep", **{name: value})
    assert said == [False, False, False]


@pytest.mark.parametrize("library", ["", "musl"])
def test_other_systems_are_left_alone(library):
    assert keep_memory(library) is False
