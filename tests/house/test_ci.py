"""What CI and the hooks run: both checks and tests, with the right exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import dev

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
# Stands in for the interpreter: it writes down what it was asked, and fails at the command that FAIL names.
PYTHON = """#!/bin/sh
echo "$@" >> "$ASKED"
case " $* " in *" $FAIL "*) exit 3 ;; esac
"""


@pytest.mark.parametrize(("fail", "code"), [("nothing", 0), ("check", 1), ("test", 1)])
def test_ci_runs_everything_and_fails_when_a_part_fails(fail, code, tmp_path):
    (tmp_path / "python3").write_text(PYTHON)
    (tmp_path / "python3").chmod(0o755)
    asked = tmp_path / "asked"
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "ASKED": str(asked), "FAIL": fail}
    done = subprocess.run(["bash", str(ROOT / ".ci/run")], cwd="/", env=environment, check=False)
    assert done.returncode == code
    assert asked.read_text().splitlines() == ["dev.py check", "dev.py test"]


def test_the_workflow_is_valid_and_calls_the_same_script():
    file = ROOT / ".github/workflows/ci.yml"
    command = [BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(file)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    jobs = yaml.safe_load(file.read_text())["jobs"]
    assert "bash .ci/run" in [step.get("run") for step in jobs["test"]["steps"]]


def test_hooks_are_valid_and_fetch_nothing():
    command = [BIN / "pre-commit", "validate-config", str(ROOT / ".pre-commit-config.yaml")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert {repository["repo"] for repository in HOOKS} == {"local"}
    assert {hook["language"] for hook in HOOKS[0]["hooks"]} == {"system"}


def test_hooks_call_what_check_calls():
    entries = [hook["entry"] for hook in HOOKS[0]["hooks"]]
    for program, *_ in dev.CHECKS.values():
        assert any(entry.startswith(f".venv/bin/{program}") for entry in entries)
