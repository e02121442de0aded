"""The lock files: which .in file each one answers, and how it is made from it."""

from __future__ import annotations

import hashlib
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

from requirements.steps import PIP, ROOT, quietly, say, timed

FOLDER = ROOT / "requirements"
NAMES = ("service", "test")
PIP_TOOLS = "pip-tools==7.6.2"


def heading(name: str) -> str:
    """Return the first line of a lock: what it answers."""
    asked = hashlib.sha256((FOLDER / f"{name}.in").read_bytes()).hexdigest()
    return f"# Made by `python3 dev.py lock` from {name}.in with sha256 {asked}.\n"


def locks_answer() -> bool:
    """Whether each lock was made from the .in file that lies beside it."""
    stale = []
    for name in NAMES:
        with (FOLDER / f"{name}.lock").open() as lock:
            if lock.readline() != heading(name):
                stale.append(name)
    say(f"== locks\nstale, run `python3 dev.py lock`: {', '.join(stale)}" if stale else "== locks")
    return not stale


def make_locks(options: Sequence[str]) -> None:
    """Resolve requirements/*.in anew; options such as ``--upgrade`` go to pip-compile."""
    with tempfile.TemporaryDirectory() as scratch:
        with timed(PIP_TOOLS):
            venv.create(scratch, with_pip=True)
            quietly([f"{scratch}/bin/python", *PIP, "install", PIP_TOOLS], "Is the network there?")
        for name in NAMES:
            with timed(f"requirements/{name}.lock"):
                _compile(Path(scratch) / "bin/pip-compile", name, options)


def _compile(program: Path, name: str, options: Sequence[str]) -> None:
    """Torch stays out, and so do this machine's indexes: both differ from machine to machine."""
    wanted = ["--generate-hashes", "--strip-extras", "--unsafe-package=torch", "--no-header", "--quiet"]
    silent = ["--no-emit-index-url", "--no-emit-find-links", "--no-emit-options"]
    target = FOLDER / f"{name}.lock"
    command = [str(program), *wanted, *silent, *options, f"--output-file={target}", f"requirements/{name}.in"]
    quietly(command, f"requirements/{name}.in asks for what no index has, or for two things that disagree.")
    body = target.read_text().partition("\n# WARNING: The following packages were not pinned")[0]
    target.write_text(heading(name) + body.rstrip("\n") + "\n")
