"""Kept machine code is used if it is what would be compiled now; else it is compiled, and nothing fails."""

from __future__ import annotations

import hashlib
import importlib
import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from glocert.machine_code import store

ROOT = Path(__file__).parents[3]
SUMS = """
from glocert.compiled import summing

@summing
def total(x):
    return x[0] + x[1] + x[2]
"""
AID = """
import numba
from glocert.compiled import compiled
UNIT = 0.5
SHIFT = 0.5
FACTOR = 2.0

@compiled
def scaled(x):
    return FACTOR * x
"""
LOOP = """
from glocert.compiled import compiled
from {package} import aid
from {package}.aid import UNIT, scaled

@compiled("(float64[::1],)")
def total(x):
    s = 0.0
    for i in range(x.shape[0]):
        s += scaled(x[i]) + UNIT + aid.SHIFT
    return s
"""
ONES = np.ones(10)
NUMBERS = itertools.count()
Load = Callable[[], ModuleType]


@pytest.fixture(autouse=True)
def no_other_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.delenv(store.PLACE, raising=False)


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """A package of two files that no other test has imported."""
    folder = tmp_path / f"planted{next(NUMBERS)}"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "aid.py").write_text(AID)
    (folder / "loop.py").write_text(LOOP.format(package=folder.name))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two versions may be of one second and one size
    return folder


@pytest.fixture
def load(package, monkeypatch) -> Load:
    """Import the package as a new process would."""

    def again() -> ModuleType:
        for name in [name for name in sys.modules if name.partition(".")[0] == package.name]:
            monkeypatch.delitem(sys.modules, name)
        importlib.invalidate_caches()
        return importlib.import_module(f"{package.name}.loop")

    return again


def kept(package: Path) -> list[Path]:
    return sorted((package / "__pycache__").glob("loop.total-*.loop"))


def was_kept(loop: ModuleType) -> bool:
    statistics = loop.total.stats
    return (sum(statistics.cache_hits.values()), sum(statistics.cache_misses.values())) == (1, 0)


def test_code_is_kept_beside_the_source_and_used_again(package, load):
    first = load()
    assert (first.total(ONES), was_kept(first)) == (30.0, False)
    again = load()
    assert (again.total(ONES), was_kept(again)) == (30.0, True)
    assert len(kept(package)) == 1


@pytest.mark.parametrize(
    ("file", "old", "new", "result"),
    [
        ("loop.py", "s = 0.0", "s = 1.0", 31.0),
        ("loop.py", "+ aid.SHIFT", "- aid.SHIFT", 20.0),
        ("aid.py", "return FACTOR * x", "return FACTOR * x + 1.0", 40.0),
        ("aid.py", "FACTOR = 2.0", "FACTOR = 3.0", 40.0),
        ("aid.py", "UNIT = 0.5", "UNIT = 0.25", 27.5),
        ("aid.py", "SHIFT = 0.5", "SHIFT = -0.5", 20.0),
        ("aid.py", "@compiled", "@numba.njit(fastmath=True)", 30.0),
    ],
)
def test_whatever_is_compiled_in_may_change_in_any_file(file, old, new, result, package, load):
    load().total(ONES)
    text = (package / file).read_text()
    assert old in text
    (package / file).write_text(text.replace(old, new))
    changed = load()
    assert (changed.total(ONES), was_kept(changed)) == (result, False)
    again = load()
    assert (again.total(ONES), was_kept(again)) == (result, True)
    assert len(kept(package)) == 1, "old code is replaced"


def test_what_is_not_compiled_in_may_change(package, load):
    load().total(ONES)
    text = (package / "loop.py").read_text()
    (package / "loop.py").write_text(f"# moved down by a line\n{text}\nOTHER = 1\n")
    assert was_kept(loop := load()) is False, "nothing is loaded before it is called"
    assert (loop.total(ONES), was_kept(loop)) == (30.0, True)


def test_a_constant_that_changes_while_the_process_runs_is_kept_by_nobody(package, load, monkeypatch):
    loop = load()
    loop.total(ONES)
    (file,) = kept(package)
    before = file.read_bytes()
    monkeypatch.setattr(loop, "UNIT", 100.0)
    loop.total(ONES.astype(np.float32))
    assert kept(package) == [file]
    assert file.read_bytes() == before


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: data[:40],
        lambda data: data[: len(data) // 2],
        lambda data: data + b"\0",
        lambda data: os.urandom(len(data)),
        lambda data: _flip(data, 0),
        lambda data: _flip(data, store.DIGEST_BYTES),
        lambda data: _flip(data, len(data) // 2),
        lambda data: _flip(data, len(data) - 1),
        lambda data: store._sealed(data[32:64], b"no pickle"),
        lambda data: store._sealed(data[32:64], b"\x80\x04N."),
    ],
)
def test_a_spoilt_file_is_replaced(spoil, package, load):
    load().total(ONES)
    (file,) = kept(package)
    whole = file.read_bytes()
    file.write_bytes(spoil(whole))
    loop = load()
    assert loop.total(ONES) == 30.0
    assert hashlib.sha256(file.read_bytes()[32:]).digest() == file.read_bytes()[:32]
    again = load()
    assert (again.total(ONES), was_kept(again)) == (30.0, True)


def test_code_under_the_name_of_other_code_is_not_used(package, load):
    """As when two processes number their files alike: float32 code would read float64 as garbage."""
    loop = load()
    loop.total(ONES)
    (double,) = kept(package)
    loop.total(ONES.astype(np.float32))
    (single,) = set(kept(package)) - {double}
    double.write_bytes(single.read_bytes())
    again = load()
    assert (again.total(ONES), was_kept(again)) == (30.0, False)


def test_types_that_a_name_does_not_describe_are_not_kept(package, load):
    """The name of a function's type holds an address, which is another function's in another process."""
    (package / "loop.py").write_text(
        "from glocert.compiled import compiled\n"
        "@compiled\ndef plus(x):\n    return x + 1\n"
        "@compiled\ndef total(f):\n    return f(1)\n"
    )
    loop = load()
    assert loop.total(loop.plus) == 2
    assert kept(package) == []


@pytest.mark.parametrize("function", ["(lambda x: x + 1)", "made()"])
def test_functions_without_a_name_of_their_own_are_not_kept(function, package, load):
    """Two of them may bear one symbol: one loaded, one compiled here."""
    (package / "loop.py").write_text(
        "from glocert.compiled import compiled\n"
        "def made():\n    def inner(x):\n        return x + 1\n    return inner\n"
        f"helper = compiled({function})\n"
        "@compiled\ndef total(x):\n    return helper(x)\n"
    )
    loop = load()
    assert loop.total(1) == loop.helper(1) == 2
    assert list((package / "__pycache__").glob("*.loop")) == []


def test_nothing_fails_where_nothing_can_be_written(package, load, monkeypatch, tmp_path):
    for name in ("__pycache__", "../place", "../user"):
        (package / name).write_text("no folder")
    monkeypatch.setenv(store.PLACE, str(tmp_path / "place"))
    loop = load()
    assert (loop.total(ONES), was_kept(loop)) == (30.0, False)


def test_code_can_be_kept_in_a_folder_of_ones_own(package, load, monkeypatch, tmp_path):
    monkeypatch.setenv(store.PLACE, str(tmp_path / "place"))
    load().total(ONES)
    assert kept(package) == []
    (place,) = {file.parent for file in (tmp_path / "place").rglob("*.loop")}
    assert place.stat().st_mode & 0o777 == 0o700
    again = load()
    assert (again.total(ONES), was_kept(again)) == (30.0, True)


def test_the_user_s_folder_serves_where_the_source_cannot_be_written_to(package, load, tmp_path):
    (package / "__pycache__").write_text("no folder")
    load().total(ONES)
    again = load()
    assert (again.total(ONES), was_kept(again)) == (30.0, True)
    assert list((tmp_path / "user/glocert").glob("loop.total-*.loop"))


@pytest.mark.parametrize("place", [store.PLACE, "XDG_CACHE_HOME"])
def test_a_folder_that_others_can_write_to_is_not_read(place, package, load, monkeypatch, tmp_path):
    monkeypatch.setenv(place, str(tmp_path / "place"))
    (package / "__pycache__").write_text("no folder")
    load().total(ONES)
    folder = tmp_path / "place/glocert"
    for mode in (0o720, 0o702):
        folder.chmod(mode)
        assert list(store._own(folder, make=False)) == []
    folder.chmod(0o755)
    assert list(store._own(folder, make=False)) == [folder]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_not_read(tmp_path):
    os.chown(tmp_path, 65534, 65534)
    tmp_path.chmod(0o700)
    assert list(store._own(tmp_path, make=False)) == []


def test_processes_that_compile_at_once_do_each_other_no_harm(package, load):
    script = (
        "import sys, numpy as np\n"
        f"from {package.name}.loop import total\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "for kind in sys.argv[1:]: print(total(np.ones(10, kind)))\n"
    )
    kinds = [["f8", "f4"], ["f4", "i8"], ["i8", "f8"]]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{package.parent}"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [
        subprocess.Popen([sys.executable, "-c", script, *kind], env=environment, **pipes) for kind in kinds
    ]
    assert [process.stdout.readline() for process in started] == ["ready\n"] * 3
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.communicate()[0].split() for process in started] == [["30.0", "30.0"]] * 3
    loop = load()
    for kind in ("f8", "f4", "i8"):
        assert loop.total(np.ones(10, kind)) == 30.0
    assert sum(loop.total.stats.cache_hits.values()) == 3


def test_code_of_sums_in_any_order_is_kept_for_every_process(tmp_path):
    """Their options are a set, whose order differs from process to process."""
    (tmp_path / "sums.py").write_text(SUMS)
    code = (
        "from glocert.machine_code.substance import substance\n"
        "from sums import total\n"
        "print(substance(total).hex())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"{ROOT}:{tmp_path}"},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1
