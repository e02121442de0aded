"""Whether the tensors of a TorchScript archive lie inside the bytes that it carries.

``torch.jit.load`` believes a pickle: it takes a storage to be as long as the pickle says, however short the
member is that holds its numbers, and a tensor to be where its offset, lengths and strides say. A file that
lies makes it read memory that belongs to something else. So the pickles are followed here, without calling
anything, and every storage and every tensor is measured first.

Format: the Python library reference, *pickletools*; PyTorch's ``unpickler.cpp`` says which opcodes it reads.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from glocert.errors import Offence, UnreadableModel

_ITEM_BYTES = {
    "FloatStorage": 4, "DoubleStorage": 8, "HalfStorage": 2, "LongStorage": 8, "IntStorage": 4,
    "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1,
}  # fmt: skip
_REBUILD = "torch._utils _rebuild_tensor_v2"
_DEPTH = 500
"""PyTorch calls itself for everything that lies in something else; networks of many modules stay below 50"""
_IGNORED = frozenset({"PROTO", "FRAME", "STOP"})
_LITERALS = frozenset(
    {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINSTRING",
     "SHORT_BINSTRING", "NONE", "NEWTRUE", "NEWFALSE"}
)  # fmt: skip
_CONSTANTS = {"NEWTRUE": True, "NEWFALSE": False}


class _Mark:
    """Stands on the stack where a list of arguments begins."""


@dataclass(frozen=True, slots=True)
class _Global:
    name: str


@dataclass(frozen=True, slots=True)
class _Storage:
    """A storage of so many elements."""

    elements: int


class _Lie(Exception):
    """The pickle claims something that the archive does not bear out, or is not understood."""


@dataclass(slots=True)
class _Held:
    """A tuple, a list, a dictionary or an object.

    Attributes:
        items: of a tuple.
        depth: how deep things lie in one another inside.
        sealed: whether it lies in something else: PyTorch fills things first, and puts them away then.
    """

    items: tuple[Any, ...] = ()
    depth: int = 1
    sealed: bool = False


@dataclass(slots=True)
class _Reader:
    """A pickle that is being followed: lists and objects are put on the stack, but not filled."""

    lengths: Mapping[str, int]
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def marked(self) -> tuple[Any, ...]:
        """Take everything down to the last mark."""
        taken = []
        while not isinstance(top := self.stack.pop(), _Mark):
            taken.append(top)
        return tuple(reversed(taken))

    def last(self, count: int) -> tuple[Any, ...]:
        """Take so many."""
        return tuple(reversed([self.stack.pop() for _ in range(count)]))

    def hold(self, items: tuple[Any, ...], *, keep: bool = False) -> None:
        """Put something on the stack that holds the items."""
        depth = 1 + max((item.depth for item in items if isinstance(item, _Held)), default=0)
        if depth > _DEPTH:
            raise _Lie(f"things lie more than {_DEPTH} deep in one another")
        for item in items:
            if isinstance(item, _Held):
                item.sealed = True
        self.stack.append(_Held(items if keep else (), depth))

    def fill(self, items: tuple[Any, ...]) -> None:
        """Put the items into what lies on the stack."""
        self.hold(items)
        added, holder = self.stack.pop(), self.stack[-1]
        if not isinstance(holder, _Held) or holder.sealed:
            raise _Lie("something is filled that was put away before")
        holder.depth = max(holder.depth, added.depth)

    def storage(self) -> _Storage:
        """Measure the member that a persistent id names."""
        match self.stack.pop():
            case _Held(("storage", _Global(name), str(key), str(), int(elements), *_)):
                size = _ITEM_BYTES.get(name.removeprefix("torch "), 0) * elements
            case _:
                raise _Lie("a tensor names no storage")
        if elements < 0 or (elements and (size == 0 or self.lengths.get(key, -1) < size)):
            raise _Lie(f"storage {key!r} claims more than it holds")
        return _Storage(elements)

    def call(self) -> None:
        """Follow a call; of those only the ones that make tensors are measured."""
        function, arguments = self.last(2)
        if not isinstance(function, _Global):
            raise _Lie("it calls something that has no name")
        if function.name == _REBUILD:
            _check_tensor(arguments)
        self.hold((arguments,))


def _check_tensor(arguments: Any) -> None:
    """Refuse a tensor that reaches beyond its storage."""
    match arguments:
        case _Held((_Storage(elements), int(offset), _Held(lengths), _Held(strides), *_)):
            numbers = (offset, *lengths, *strides)
        case _:
            raise _Lie("a tensor is not described as PyTorch does")
    if not all(isinstance(number, int) and number >= 0 for number in numbers) or len(lengths) != len(strides):
        raise _Lie("a tensor has an impossible shape")
    last = offset + sum((length - 1) * stride for length, stride in zip(lengths, strides, strict=True))
    if 0 not in lengths and last >= elements:
        raise _Lie("a tensor reaches beyond its storage")


_STEPS: Mapping[str, Callable[[_Reader, Any], object]] = {
    "MARK": lambda reader, _: reader.stack.append(_Mark()),
    "GLOBAL": lambda reader, name: reader.stack.append(_Global(name)),
    "EMPTY_TUPLE": lambda reader, _: reader.hold(()),
    "EMPTY_LIST": lambda reader, _: reader.hold(()),
    "EMPTY_DICT": lambda reader, _: reader.hold(()),
    "TUPLE": lambda reader, _: reader.hold(reader.marked(), keep=True),
    "TUPLE1": lambda reader, _: reader.hold(reader.last(1), keep=True),
    "TUPLE2": lambda reader, _: reader.hold(reader.last(2), keep=True),
    "TUPLE3": lambda reader, _: reader.hold(reader.last(3), keep=True),
    "BINPUT": lambda reader, key: reader.memo.__setitem__(key, reader.stack[-1]),
    "LONG_BINPUT": lambda reader, key: reader.memo.__setitem__(key, reader.stack[-1]),
    "BINGET": lambda reader, key: reader.stack.append(reader.memo[key]),
    "LONG_BINGET": lambda reader, key: reader.stack.append(reader.memo[key]),
    "APPENDS": lambda reader, _: reader.fill(reader.marked()),
    "SETITEMS": lambda reader, _: reader.fill(reader.marked()),
    "APPEND": lambda reader, _: reader.fill(reader.last(1)),
    "SETITEM": lambda reader, _: reader.fill(reader.last(2)),
    "BUILD": lambda reader, _: reader.call(),
    "REDUCE": lambda reader, _: reader.call(),
    "NEWOBJ": lambda reader, _: reader.stack.pop(),  # as PyTorch does: BUILD makes the object
    "BINPERSID": lambda reader, _: reader.stack.append(reader.storage()),
}


def check_storages(name: str, data: bytes, lengths: Mapping[str, int]) -> None:
    """Refuse a pickle whose tensors do not lie inside the members that hold their numbers.

    Args:
        name: of the pickle, for the refusal.
        data: its bytes; opcodes and what they name were listed and found harmless before.
        lengths: key of a storage -> bytes that the archive carries for it.

    Raises:
        UnreadableModel: a storage or a tensor is longer than what is there, or an opcode is unknown.
    """
    reader = _Reader(lengths)
    try:
        for opcode, argument, _ in pickletools.genops(data):
            _follow(reader, opcode.name, argument)
    except (_Lie, IndexError, KeyError, TypeError, ValueError) as fault:
        detail = str(fault) if isinstance(fault, _Lie) else "it is not a pickle that PyTorch writes"
        raise UnreadableModel(
            "The file is not a readable TorchScript archive.", [Offence(name, detail)]
        ) from None


def _follow(reader: _Reader, opcode: str, argument: Any) -> None:
    if opcode in _LITERALS:
        reader.stack.append(_CONSTANTS.get(opcode, argument))
    elif opcode in _STEPS:
        _STEPS[opcode](reader, argument)
    elif opcode not in _IGNORED:
        raise _Lie(f"opcode {opcode} is none that PyTorch writes")
