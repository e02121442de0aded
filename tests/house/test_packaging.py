"""What the wheel holds, and what the API's process loads."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKED = (
    *(
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "app",
        "glocert",
        "glocert_check",
        "glocert_client",
        "glocert_predict",
        "models",
    ),
    "workers",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    pytest.importorskip("hatchling", reason="this environment is older than requirements/test.lock")
    tree = tmp_path_factory.mktemp("tree")
    for name in PACKED:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tree / name)
    options = ["--no-build-isolation", "--no-deps", "--no-index", "--quiet", "--wheel-dir", str(tree)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(tree)], check=True)
    (built,) = tree.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        yield archive


def test_the_wheel_holds_the_library_and_the_client_only(wheel):
    """app, models and workers are names that anybody may use: installing them would overwrite somebody's."""
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "glocert",
        "glocert_check",
        "glocert_client",
        "glocert_predict",
    }
    assert [name for name in wheel.namelist() if "__pycache__" in name or name.endswith(".loop")] == []
    assert {"glocert/py.typed", "glocert/spec.py", "glocert_client/cli.py"} <= set(wheel.namelist())


def test_the_wheel_says_what_it_is(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    facts = Parser().parsestr(wheel.read(name).decode())
    assert facts["License-Expression"] == "Apache-2.0"
    needed = facts.get_all("Requires-Dist")
    assert [line for line in needed if "torch" in line and "extra ==" not in line] == []
    (script,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert "glocert = glocert_client.cli:main" in wheel.read(script).decode()


HEAVY = {"torch", "onnx", "onnxruntime", "safetensors", "numba", "llvmlite"}


def loaded(statement: str) -> set[str]:
    command = [sys.executable, "-W", "error", "-c", f"{statement}; import sys; print(*sys.modules)"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return HEAVY & set(done.stdout.split())


@pytest.mark.parametrize(
    "statement", ["import app.main", "import workers.__main__", "import glocert_client.cli"]
)
def test_these_processes_load_nothing_heavy(statement):
    assert loaded(statement) == set()


def test_the_probe_above_would_notice():
    assert loaded("import onnx") >= {"onnx"}
    assert loaded("import glocert.compiled") == {"numba", "llvmlite"}
