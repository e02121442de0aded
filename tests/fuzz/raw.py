"""Mutations that know nothing of the format: flips, cuts, splices."""

from __future__ import annotations

from random import Random

INTEGERS = (0, -1, 1, 2, 3, 7, 255, 10**6, 2**31 - 1, 2**31, -(2**31), 2**40, 2**62, 2**63 - 1, -(2**63))
NUMBERS = (0.0, -0.0, 0.5, 1.0, -1.0, 1e-45, 1e30, -1e38, 3.5e38, float("inf"), float("-inf"), float("nan"))
TEXTS = ("", "x", "../../etc/passwd", "/etc/passwd", "n" * 3000, "nul\0", "ünï", "NaN", "-1", "{}", "If")


def mutate(data: bytes, draw: Random, other: bytes) -> bytes:
    """Return ``data`` with one thing done to its bytes; ``other`` is what it may be spliced with."""
    if not data:
        return other
    return draw.choice((_flip, _flip, _cut, _splice, _repeat, _erase, _insert))(bytearray(data), draw, other)


def _flip(data: bytearray, draw: Random, other: bytes) -> bytes:
    for _ in range(draw.choice((1, 1, 2, 8, 64))):
        data[draw.randrange(len(data))] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))
    return bytes(data)


def _cut(data: bytearray, draw: Random, other: bytes) -> bytes:
    return bytes(data[: draw.randrange(len(data))])


def _splice(data: bytearray, draw: Random, other: bytes) -> bytes:
    return bytes(data[: draw.randrange(len(data))]) + other[draw.randrange(len(other) + 1) :]


def _range(data: bytearray, draw: Random) -> tuple[int, int]:
    start = draw.randrange(len(data))
    return start, min(len(data), start + draw.choice((1, 4, 64, 1024)))


def _repeat(data: bytearray, draw: Random, other: bytes) -> bytes:
    start, end = _range(data, draw)
    return bytes(data[:end] + data[start:])


def _erase(data: bytearray, draw: Random, other: bytes) -> bytes:
    start, end = _range(data, draw)
    return bytes(data[:start] + data[end:])


def _insert(data: bytearray, draw: Random, other: bytes) -> bytes:
    start = draw.randrange(len(data))
    return bytes(data[:start]) + draw.randbytes(draw.choice((1, 4, 64))) + bytes(data[start:])
