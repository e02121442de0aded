"""Every compiled function of a package is found and compiled as it states."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest

import glocert
from glocert import precompile
from glocert.compiled import SIGNATURES

ROOT = Path(glocert.__file__).parents[1]
STATING = """
from glocert.compiled import compiled
from planted_loops.deep.aid import plus

@compiled("(F[::1], int64)", "void(int64[::1], int64)")
def first(x, i):
    return plus(x[i])
"""
HELPING = """
from glocert.compiled import compiled

@compiled
def plus(x):
    return x + 1
"""


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "planted_loops"
    (folder / "deep").mkdir(parents=True)
    for file in (folder / "__init__.py", folder / "deep/__init__.py", folder / "other.py"):
        file.touch()
    (folder / "stating.py").write_text(STATING)
    (folder / "deep/aid.py").write_text(HELPING)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(precompile, "ROOM", folder)
    before = set(SIGNATURES)
    yield folder
    for kernel in set(SIGNATURES) - before:
        del SIGNATURES[kernel]


def test_what_is_stated_is_compiled(package):
    assert precompile.modules() == ["planted_loops.deep.aid", "planted_loops.stating"]
    others = sum(len(texts) for texts in SIGNATURES.values())
    assert precompile.precompile() == others + 3
    loop = importlib.import_module("planted_loops.stating").first
    kinds = numba.float64, numba.float32, numba.int64
    assert set(loop.overloads) == {(kind[::1], numba.int64) for kind in kinds}
    assert list((package / "__pycache__").glob("stating.first-*.loop"))


def test_no_module_with_compiled_functions_is_overlooked():
    found = set(precompile.modules())
    for module in pkgutil.walk_packages(glocert.__path__, "glocert."):
        importlib.import_module(module.name)
    compiling = {kernel.__module__ for kernel in SIGNATURES if kernel.__module__.startswith("glocert.")}
    assert compiling <= found


def test_the_command_says_what_it_did():
    command = [sys.executable, "-m", "glocert.precompile"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    count = sum(
        len(texts) for kernel, texts in SIGNATURES.items() if kernel.__module__.startswith("glocert.")
    )
    assert done.stdout.startswith(f"{count} loops are compiled after ")
