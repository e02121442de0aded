from __future__ import annotations

import gzip
import struct
import tracemalloc

import pytest

from glocert.errors import ModelTooLarge, UnreadableModel
from glocert.graph.formats import read
from glocert.graph.gzipped import unpacked
from glocert.graph.limits import Limits
from tests.glocert.graph.onnx_models import dense


@pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 2**20 + 1, 3 * 2**20])
def test_what_was_packed_comes_back(size: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert unpacked(gzip.compress(data), Limits()) == data


def test_members_follow_one_another_and_padding_is_passed_over() -> None:
    assert unpacked(gzip.compress(b"one ") + gzip.compress(b"two") + bytes(512), Limits()) == b"one two"


def test_the_limit_is_on_what_comes_out() -> None:
    packed = gzip.compress(bytes(1000))
    assert len(unpacked(packed, Limits(file_bytes=1000))) == 1000
    with pytest.raises(ModelTooLarge, match=r"more than 999 \(setting max_model_bytes\)"):
        unpacked(packed, Limits(file_bytes=999))
    with pytest.raises(ModelTooLarge):
        unpacked(gzip.compress(bytes(600)) + gzip.compress(bytes(600)), Limits(file_bytes=1000))


def test_a_bomb_takes_no_more_memory_than_the_limit() -> None:
    bomb = gzip.compress(bytes(200 * 2**20))
    tracemalloc.start()
    with pytest.raises(ModelTooLarge):
        unpacked(bomb, Limits(file_bytes=2**20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20


def test_the_size_that_the_trailer_claims_is_not_believed() -> None:
    packed = gzip.compress(b"x" * 5000)
    with pytest.raises(UnreadableModel, match="damaged"):
        unpacked(packed[:-4] + struct.pack("<I", 1), Limits())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[:-9], "break off"),
        (lambda data: data[:12], "break off"),
        (lambda data: data[:2], "break off"),
        (lambda data: data[:-8] + bytes(4) + data[-4:], "damaged"),
        (lambda data: data[:3] + b"\xff" + data[4:], "damaged"),
        (lambda data: data + b"more", "follows"),
    ],
)
def test_damaged_files_are_refused(change: object, words: str) -> None:
    with pytest.raises(UnreadableModel, match=words):
        unpacked(change(gzip.compress(b"a model" * 100)), Limits())  # type: ignore[operator]


def test_a_packed_model_is_the_model() -> None:
    data = dense().SerializeToString()
    plain, packed = (
        read(content, None, input_shape=None, output=None, limits=Limits()).imported.graph
        for content in (data, gzip.compress(data))
    )
    assert plain.digest() == packed.digest()


def test_it_is_unpacked_once() -> None:
    twice = gzip.compress(gzip.compress(dense().SerializeToString()))
    with pytest.raises(UnreadableModel, match="neither"):
        read(twice, None, input_shape=None, output=None, limits=Limits())
