from __future__ import annotations

import json
import math
import socket
from collections.abc import Iterator

import pytest

from workers import conversation
from workers.conversation import Garbled, Reader, encode


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, Reader]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        yield theirs, Reader(ours)


def test_messages_arrive_whole_however_they_are_cut(ends: tuple[socket.socket, Reader]) -> None:
    theirs, reader = ends
    stream = encode({"a": 1}) + encode({"b": "ü\n"})
    for byte in range(len(stream) - 3):
        theirs.send(stream[byte : byte + 1])
    assert reader.available() == [{"a": 1}]
    theirs.send(stream[-3:])
    assert reader.available() == [{"b": "ü\n"}]
    assert not reader.ended
    theirs.close()
    assert reader.available() == []
    assert reader.ended


def test_numbers_that_json_lacks_become_null() -> None:
    line = encode({"row": {"margin": math.nan, "parts": [math.inf, 1.5, (-math.inf,)]}})
    assert json.loads(line) == {"row": {"margin": None, "parts": [None, 1.5, [None]]}}


@pytest.mark.parametrize(
    "line", [b"not json\n", b"[1]\n", b'{"x": NaN}\n', b"\xff\n", b"[" * 100_000 + b"\n"]
)
def test_nonsense_is_refused(ends: tuple[socket.socket, Reader], line: bytes) -> None:
    theirs, reader = ends
    theirs.sendall(line)
    with pytest.raises(Garbled):
        reader.available()


def test_an_endless_line_is_refused(
    ends: tuple[socket.socket, Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, reader = ends
    monkeypatch.setattr(conversation, "LONGEST_BYTES", 1000)
    theirs.sendall(b"x" * 1001)
    with pytest.raises(Garbled, match="too long"):
        reader.available()
