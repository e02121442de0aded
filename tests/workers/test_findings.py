from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from app.settings import Settings
from app.storage import BlobStore
from models import UnitKind
from workers import findings
from workers.conversation import Garbled


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "store")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def test_files_of_an_inspection_are_taken_over(store: BlobStore, out: Path) -> None:
    (out / "inputs.npy").write_bytes(b"inputs")
    found = findings.inspection(store, UnitKind.INSPECT_DATASET, {"items": 1}, out)
    assert found.report == {"items": 1}
    assert set(found.digests) == {"inputs"}
    assert store.path(found.digests["inputs"]).read_bytes() == b"inputs"


def test_a_link_is_not_followed(store: BlobStore, out: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("key")
    (out / "graph.safetensors").symlink_to(secret)
    with pytest.raises(Garbled):
        findings.inspection(store, UnitKind.INSPECT_NETWORK, {}, out)


def test_a_pipe_is_not_read(store: BlobStore, out: Path) -> None:
    os.mkfifo(out / "graph.safetensors")
    with pytest.raises(Garbled, match="regular"):
        findings.inspection(store, UnitKind.INSPECT_NETWORK, {}, out)


@pytest.mark.parametrize("report", [None, [], "x"])
def test_a_report_must_be_an_object(store: BlobStore, out: Path, report: object) -> None:
    (out / "graph.safetensors").write_bytes(b"graph")
    with pytest.raises(Garbled):
        findings.inspection(store, UnitKind.INSPECT_NETWORK, report, out)


def test_a_missing_graph_is_no_inspection(store: BlobStore, out: Path) -> None:
    with pytest.raises(Garbled, match="missing"):
        findings.inspection(store, UnitKind.INSPECT_NETWORK, {}, out)


def test_pictures_are_taken_over_with_their_type(store: BlobStore, out: Path) -> None:
    (out / "path.png").write_bytes(b"png")
    ((name, media_type, blob),) = findings.pictures(store, out, ["path.png"])
    assert (name, media_type, blob.size_bytes) == ("path.png", "image/png", 3)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b"])
def test_pictures_lie_in_their_folder(store: BlobStore, out: Path, name: str) -> None:
    with pytest.raises(Garbled):
        findings.pictures(store, out, [name])


def test_a_problem_keeps_known_members_of_bounded_length() -> None:
    reported = {"type": "/problems/x", "title": "t", "detail": "d" * 10_000, "status": 200,
                "errors": [{"where": "n" * 9_000}] * 2_000 + ["x"]}  # fmt: skip
    problem = findings.problem(reported)
    assert set(problem) == {"type", "title", "detail", "errors"}
    assert len(problem["detail"]) == findings.LONGEST_TEXT
    assert len(problem["errors"]) == findings.MOST_ERRORS
    assert len(problem["errors"][0]["where"]) == findings.LONGEST_TEXT
    assert findings.problem("nonsense")["type"] == "/problems/inspection-failed"


def test_a_limit_would_be_hit_again_a_crash_perhaps_not(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert findings.cause_of_death(-signal.SIGXCPU, settings)[1]
    assert findings.cause_of_death(-signal.SIGSEGV, settings) == ("It was ended by signal SIGSEGV.", False)
    assert findings.cause_of_death(3, settings) == ("It ended with code 3.", False)
