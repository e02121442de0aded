"""JSON lines over a socket between a supervisor and its child."""

from __future__ import annotations

import json
import math
import socket
from typing import Any

Message = dict[str, Any]
LONGEST_BYTES = 32 * 2**20


class Garbled(Exception):
    """The other side said something that is not a message, or too long for one."""


def encode(message: Message) -> bytes:
    """Return a message as one line; numbers that are not finite become null, which JSON can say."""
    return json.dumps(_finite(message), separators=(",", ":"), allow_nan=False).encode() + b"\n"


class Reader:
    """Puts lines together from what arrives."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._buffer = bytearray()
        self.ended = False

    def available(self) -> list[Message]:
        """Return the messages that have arrived, without waiting on a socket that does not block.

        Raises:
            Garbled: a line is no JSON object, or longer than a message may be.
        """
        while not self.ended:
            try:
                chunk = self._end.recv(1 << 16)
            except BlockingIOError:
                break
            except ConnectionError:
                chunk = b""
            self.ended = not chunk
            self._buffer += chunk
            if len(self._buffer) > LONGEST_BYTES:
                raise Garbled("a message is too long")
        return self._complete()

    def wait(self) -> Message | None:
        """Wait for one message on a blocking socket; None when the other side has hung up."""
        while b"\n" not in self._buffer:
            chunk = self._end.recv(1 << 16)
            if not chunk:
                return None
            self._buffer += chunk
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer = bytearray(rest)
        return _decode(line)

    def _complete(self) -> list[Message]:
        *lines, rest = bytes(self._buffer).split(b"\n")
        self._buffer = bytearray(rest)
        return [_decode(line) for line in lines]


def _decode(line: bytes) -> Message:
    try:
        message = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Garbled("a line is not JSON") from error
    if not isinstance(message, dict):
        raise Garbled("a line is not a JSON object")
    return message


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return value
