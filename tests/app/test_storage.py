from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.storage import BlobStore


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path)


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


@given(chunks=st.lists(st.binary(max_size=50), max_size=6))
def test_a_blob_is_found_by_its_digest(tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]) -> None:
    store = BlobStore(tmp_path_factory.mktemp("store"))
    blob = store.put(chunks)
    assert blob.sha256 == hashlib.sha256(b"".join(chunks)).hexdigest()
    assert blob.size_bytes == sum(map(len, chunks))
    assert store.path(blob.sha256).read_bytes() == b"".join(chunks)
    assert list(store.digests()) == [blob.sha256]


def test_a_failure_leaves_nothing(store: BlobStore, tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        store.put(chunks())
    assert files(tmp_path) == []


def test_what_is_not_kept_is_dropped(store: BlobStore, tmp_path: Path) -> None:
    with store.incoming() as incoming:
        incoming.write(b"x")
        assert len(files(tmp_path)) == 1
    assert files(tmp_path) == []


def test_the_same_bytes_again_change_nothing_and_a_reader_keeps_its_file(
    store: BlobStore, tmp_path: Path
) -> None:
    blob = store.put([b"same"])
    with store.path(blob.sha256).open("rb") as reader:
        assert store.put([b"sa", b"me"]) == blob
        store.delete(blob.sha256)
        assert reader.read() == b"same"
    store.delete(blob.sha256)
    assert files(tmp_path) == []


def test_a_copy_of_a_file_is_readable_by_others(store: BlobStore, tmp_path: Path) -> None:
    (tmp_path / "private").write_bytes(b"graph")
    (tmp_path / "private").chmod(0o600)
    blob = store.put_file(tmp_path / "private")
    assert store.path(blob.sha256).stat().st_mode & 0o777 == 0o644


def test_sweeping_takes_old_leftovers_only(store: BlobStore, tmp_path: Path) -> None:
    old, new = tmp_path / "incoming" / "old", tmp_path / "incoming" / "new"
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (0, 0))
    assert store.sweep(3600) == 1
    assert files(tmp_path) == [new]


def test_the_age_of_a_blob(store: BlobStore) -> None:
    blob = store.put([b"x"])
    assert store.age_s(blob.sha256) < 60
    os.utime(store.path(blob.sha256), (0, 0))
    assert store.age_s(blob.sha256) > 1e9
    assert store.age_s("0" * 64) == 0.0
