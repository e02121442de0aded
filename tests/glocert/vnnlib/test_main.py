"""The command, through the client that starts it, and by itself where only its words differ."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from glocert.graph.export import to_onnx
from glocert.vnnlib.__main__ import main
from tests.glocert.segments.networks import Draft

GLOCERT = [sys.executable, "-W", "error", "-m", "glocert_client.cli", "vnnlib"]
BOX = "(declare-const X_0 Real)(declare-const Y_0 Real)(assert (<= 0 X_0 1))"


def files(folder: Path, assertion: str) -> Sequence[str]:
    """Return the names of a network and a question about it, written into the folder."""
    draft = Draft(1)
    (folder / "model.onnx.gz").write_bytes(
        gzip.compress(to_onnx(draft.graph(draft.gemm("x", [[2.0]], [0.0]))))
    )
    (folder / "question.vnnlib").write_text(BOX + assertion)
    return "model.onnx.gz", "question.vnnlib"


def ask(folder: Path, assertion: str, *options: object) -> subprocess.CompletedProcess[str]:
    command = [*GLOCERT, *files(folder, assertion), *map(str, options)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_a_witness_is_printed_and_written(tmp_path: Path):
    done = ask(tmp_path, "(assert (>= Y_0 1.5))", "--result", "result.txt")
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("sat\n((X_0 ")
    assert (tmp_path / "result.txt").read_text() == done.stdout


@pytest.mark.parametrize(
    ("assertion", "code", "word"),
    [
        ("(assert (>= Y_0 2.5))", 0, "unsat\n"),
        ("(assert (>= Y_0 2))(assert (<= Y_0 2))", 2, "unknown\n"),
    ],
)
def test_answers_are_exit_codes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    assertion: str,
    code: int,
    word: str,
):
    monkeypatch.chdir(tmp_path)
    assert main(files(tmp_path, assertion)) == code
    assert capsys.readouterr().out == word


def test_options_and_exit_codes_pass_through_the_client(tmp_path: Path):
    done = ask(tmp_path, "(assert (>= Y_0 2.5))", "--timeout", "0")
    assert (done.returncode, done.stdout) == (3, "timeout\n"), done.stderr


def test_refusals_are_sentences(tmp_path: Path):
    done = ask(tmp_path, "(assert (>= Y_1 0))")
    assert done.returncode == 4
    assert "line 1, column 82: 'Y_1' is not declared" in done.stderr


def test_a_result_that_cannot_be_written_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert main([*files(tmp_path, ""), "--result", "no/such/folder"]) == 4
