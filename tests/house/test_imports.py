"""The contracts of import-linter hold, and each would notice: one violation after the other is planted."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("app", "workers", "models", "glocert", "glocert_check", "glocert_client", "glocert_predict")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
LINT = Path(sys.executable).with_name("lint-imports")
PLANTED = [
    ("rooms", "models/planted.py", "import app.settings"),
    ("rooms", "glocert/planted.py", "import models.base"),
    ("rooms", "app/jobs/planted.py", "import workers"),
    ("no-torch", "app/planted.py", "import torch"),
    ("no-torch", "models/planted.py", "import onnx"),
    ("no-torch", "app/jobs/planted.py", "import numba"),
    ("no-torch", "app/networks/planted.py", "import glocert.graph.ir"),
    ("core-seen", "app/jobs/planted.py", "import glocert.segments"),
    ("core-seen", "models/planted.py", "import glocert.paths.segment"),
    ("core-seen", "app/planted.py", "import glocert.compiled"),
    ("core-knows", "glocert/planted.py", "import pydantic"),
    ("core-knows", "glocert/graph/planted.py", "import sqlalchemy"),
    ("core-rooms", "glocert/graph/planted.py", "import glocert.paths"),
    ("core-rooms", "glocert/paths/planted.py", "import glocert.segments"),
    ("core-rooms", "glocert/errors.py", "import glocert.graph.ir"),
    ("core-rooms", "glocert/planted.py", ""),
    ("features", "app/jobs/repository.py", "import app.jobs.service"),
    ("features", "app/networks/service.py", "import app.networks.routes"),
    ("services", "app/jobs/service.py", "import fastapi"),
    ("services", "app/networks/repository.py", "import app.problems"),
    ("workers", "workers/planted.py", "import starlette"),
    ("workers", "workers/planted.py", "import app.problems"),
    ("client", "glocert_client/planted.py", "import glocert.spec"),
    ("client-unseen", "app/planted.py", "import glocert_client"),
    ("checker", "glocert_check/planted.py", "import glocert.errors"),
    ("checker", "glocert_check/check.py", "import torch"),
    ("checker", "glocert_check/check.py", "import numba"),
    ("checker-unseen", "glocert/segments/proof.py", "import glocert_check"),
    ("predict", "glocert_predict/service.py", "import app.settings"),
    ("predict", "glocert_predict/planted.py", "import sqlalchemy"),
    ("predict-unseen", "app/planted.py", "import glocert_predict"),
]


def lint(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [LINT, "--no-logo", "--cache-dir", str(folder / "cache"), *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of all rooms, and beside it what the linter keeps of those files that do not change."""
    folder = tmp_path_factory.mktemp("tree")
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@contextmanager
def planted(file: Path, line: str) -> Iterator[None]:
    """Append a line to a file, which need not be there, for the length of the block."""
    before = file.read_text() if file.exists() else None
    with file.open("a") as module:
        module.write(f"\n{line}\n")
    try:
        yield
    finally:
        if before is None:
            file.unlink()
        else:
            file.write_text(before)


def test_the_contracts_hold(tree):
    done = lint(tree)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("contract", "file", "line"), PLANTED)
def test_a_planted_import_is_caught(tree, contract, file, line):
    with planted(tree / file, line):
        done = lint(tree, "--contract", contract)
    assert done.returncode == 1
    assert "BROKEN" in done.stdout


def test_every_contract_has_its_violation():
    assert {contract["id"] for contract in CONTRACTS} == {contract for contract, _, _ in PLANTED}


def test_every_feature_is_under_contract():
    features = {
        f"app.{file.parent.name}" for file in (ROOT / "app").glob("*/*.py") if file.stem != "__init__"
    }
    (contract,) = [contract for contract in CONTRACTS if contract["id"] == "features"]
    assert features <= set(contract["containers"])


STATEMENTS = {"select", "insert", "update", "delete", "text"}


def _statements(file: Path) -> set[str]:
    imported = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
    return {
        alias.name
        for node in imported
        if (node.module or "").startswith("sqlalchemy")
        for alias in node.names
    } & STATEMENTS


@pytest.mark.parametrize("file", sorted((ROOT / "app").glob("*/*.py")), ids=str)
def test_sql_is_written_in_repositories_only(file):
    if file.name != "repository.py":
        assert _statements(file) == set()
