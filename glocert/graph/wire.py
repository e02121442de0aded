"""A walk over a protobuf message before it is parsed: nothing is built, everything is counted.

A parser allocates an object for every message that the bytes announce, so that a small file can ask for a lot
of memory, and nests as deep as the bytes say. The walk knows from the descriptor which fields are messages.
"""

from __future__ import annotations

from google.protobuf.descriptor import Descriptor, FieldDescriptor  # type: ignore[import-untyped]

from glocert.graph.limits import Limits

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10
_LARGEST_FIELD = 2**29 - 1
_PACKED = frozenset({FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT64})


class Malformed(Exception):
    """The bytes are no message of the kind."""


def check_message(data: bytes | memoryview, descriptor: Descriptor, limits: Limits) -> None:
    """Walk over a message and all messages inside it.

    Args:
        data: the whole message.
        descriptor: of its type.
        limits: ``nesting`` and ``fields`` must not be exceeded, nor ``file_bytes`` by lists of numbers once
            they are unpacked.

    Raises:
        Malformed: a tag, a length or a number breaks off or points outside, or there is a group.
        ModelTooLarge: too deep, too many fields or too many numbers.
    """
    inner = _InnerMessages()
    position, fields, packed = 0, 0, 0
    ends, kinds = [len(data)], [descriptor]
    while ends:
        if position == ends[-1]:
            ends.pop()
            kinds.pop()
            continue
        fields += 1
        if fields > limits.fields:
            raise limits.exceeded("The file has a message of too many fields", "fields")
        tag, position = _varint(data, position, ends[-1])
        number, wire_type = tag >> 3, tag & 7
        if not 0 < number <= _LARGEST_FIELD:
            raise Malformed("a field has an impossible number")
        if wire_type != _LENGTH:
            position = _skipped(data, position, ends[-1], wire_type)
            continue
        length, position = _varint(data, position, ends[-1])
        if length > ends[-1] - position:
            raise Malformed("a field is longer than its message")
        kind = inner.of(kinds[-1], number)
        if kind is None:
            packed += length * inner.growth(kinds[-1], number)
            if packed > limits.file_bytes:
                raise limits.exceeded("The numbers of the file take too many bytes", "file_bytes")
            position += length
            continue
        if len(ends) >= limits.nesting:
            raise limits.exceeded(f"The messages of the file are nested {len(ends) + 1} deep", "nesting")
        ends.append(position + length)
        kinds.append(kind)


class _InnerMessages:
    """Which fields of which message hold messages; looked up once each."""

    def __init__(self) -> None:
        self._known: dict[str, dict[int, Descriptor]] = {}

    def of(self, kind: Descriptor, number: int) -> Descriptor | None:
        if kind.full_name not in self._known:
            self._known[kind.full_name] = {
                field.number: field.message_type
                for field in kind.fields
                if field.type == FieldDescriptor.TYPE_MESSAGE
            }
        return self._known[kind.full_name].get(number)

    @staticmethod
    def growth(kind: Descriptor, number: int) -> int:
        """Return how many bytes a byte of the field can become: a packed number of one takes eight."""
        field = kind.fields_by_number.get(number)
        return 8 if field is not None and field.type in _PACKED else 0


def _varint(data: bytes | memoryview, position: int, end: int) -> tuple[int, int]:
    """Return a number of at most 64 bits, and where it ends."""
    value = 0
    for place, byte in enumerate(data[position : min(end, position + _LONGEST_VARINT)]):
        value |= (byte & 127) << (7 * place)
        if byte < 128:
            return value, position + place + 1
    raise Malformed("a number breaks off")


def _skipped(data: bytes | memoryview, position: int, end: int, wire_type: int) -> int:
    if wire_type == _VARINT:
        return _varint(data, position, end)[1]
    if wire_type not in {_FIXED64, _FIXED32}:
        raise Malformed("a field is of an unknown kind")
    position += 8 if wire_type == _FIXED64 else 4
    if position > end:
        raise Malformed("a number breaks off")
    return position
