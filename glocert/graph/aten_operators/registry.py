"""The one table of ATen operators, and how an operator sees its arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glocert.graph.aten_program import Instruction
from glocert.graph.values import BATCH, Activation, Constant, Emitter, Unsupported, Value


class Unknown:
    """A number that depends on a shape that is not known yet."""


UNKNOWN = Unknown()


class PerBatch:
    """A number, or a truth value, that depends on the length of the batch; only a check may ask for it."""


PER_BATCH = PerBatch()


@dataclass(frozen=True, slots=True)
class Missing:
    """A tensor that an operator could not make, or whose shape is not known yet."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """A second output that no continuous network can use, such as the place of a maximum.

    Attributes:
        reason: one sentence for whoever reads it.
    """

    reason: str


@dataclass(slots=True)
class Scores:
    """What a function makes that is at the end of a network as long as nothing else reads it.

    Attributes:
        value: its argument.
        operator: Softmax, LogSoftmax or Sigmoid.
        instruction: where it is.
        arguments: the others, for the case that it is not at the end.
        made: what it turned into in that case.
    """

    value: Value | Missing | Scores
    operator: str
    instruction: Instruction
    arguments: tuple[Any, ...]
    made: Value | Missing | None = None


@dataclass(eq=False, slots=True)
class Cell:
    """A tensor variable, which operators in place can change.

    Attributes:
        value: what it holds.
        storage: all cells that may share memory, this one included.
        stale: whether a change through another cell of its storage made ``value`` wrong.
    """

    value: Value | Missing | Scores | Withheld
    storage: list[Cell] = field(default_factory=list)
    stale: bool = False

    def __post_init__(self) -> None:
        self.storage.append(self)


Key = int | str
"""Position of an argument, or its name in the operator's schema."""


@dataclass(slots=True)
class Call:
    """One node with its arguments at hand.

    Attributes:
        kind: operator without a trailing underscore.
        arguments: Python numbers, lists, strings, None, or values for tensors.
        emitter: appends canonical nodes for it.
        dtype: of the network's weights.
        names: of the arguments, in the operator's schema.
        overload: which of the operators of that name.
        notes: sentences for the user, which an operator may add to.
    """

    kind: str
    arguments: tuple[Any, ...]
    emitter: Emitter
    dtype: str
    names: tuple[str, ...] = ()
    overload: str = ""
    notes: list[str] = field(default_factory=list)

    def argument(self, key: Key, default: Any = None) -> Any:
        """Return an argument, or ``default`` where the call has none of that place or name."""
        if isinstance(key, str):
            position = self.names.index(key) if key in self.names else len(self.arguments)
        else:
            position = key
        return self.arguments[position] if position < len(self.arguments) else default

    def value(self, key: Key) -> Value:
        """Return a tensor; a number becomes a constant as the runtime would round it."""
        argument = self.argument(key)
        if isinstance(argument, Constant):
            return self._float(argument)
        if isinstance(argument, Activation):
            return argument
        if isinstance(argument, bool) or not isinstance(argument, int | float) or argument == BATCH:
            raise Unsupported(f"argument {key} is no tensor")
        return Constant(np.array(argument, self.dtype), f"{self.emitter.output}.{key}")

    def _float(self, constant: Constant) -> Constant:
        """Turn whole numbers, and single numbers of another float type, into the network's type."""
        array = constant.array
        if array.dtype == self.dtype or (constant.is_float and array.ndim):
            return constant
        converted = array.astype(self.dtype)
        if not constant.is_float and not np.array_equal(converted, array):
            raise Unsupported(f"the whole numbers of {constant.name!r} would be rounded")
        return Constant(converted, constant.name)

    def values(self, key: Key) -> list[Value]:
        """Return a list of tensors of which at least one varies."""
        entries = self.argument(key)
        if not isinstance(entries, list | tuple):
            raise Unsupported("it takes something other than a list of tensors")
        if not all(isinstance(entry, Activation | Constant) for entry in entries):
            raise Unsupported("it joins something other than tensors")
        if not any(isinstance(entry, Activation) for entry in entries):
            raise Unsupported("it computes with constants only")
        return [self._float(entry) if isinstance(entry, Constant) else entry for entry in entries]

    def activation(self, key: Key = 0) -> Activation:
        """Return a tensor that must vary."""
        value = self.value(key)
        if isinstance(value, Constant):
            raise Unsupported("it computes with constants only")
        return value

    def constant(self, key: Key) -> Constant:
        """Return a tensor that must be known."""
        value = self.value(key)
        if isinstance(value, Activation):
            raise Unsupported(f"argument {key} depends on the model's input; it must be a weight")
        return value

    def optional(self, key: Key) -> Constant | None:
        """Return a weight, or None where there is none."""
        return None if self.argument(key) is None else self.constant(key)

    def number(self, key: Key, default: float) -> float:
        """Return a number as the network's type would round it."""
        argument = self.argument(key, default)
        if isinstance(argument, Constant) and argument.array.size == 1:
            argument = argument.array.item()
        if isinstance(argument, bool) or not isinstance(argument, int | float) or argument == BATCH:
            raise Unsupported(f"argument {key} must be a known number")
        return float(np.array(argument, self.dtype))

    def integer(self, key: Key, default: int) -> int:
        """Return a whole number."""
        argument = self.argument(key, default)
        if isinstance(argument, bool) or not isinstance(argument, int):
            raise Unsupported(f"argument {key} must be a known whole number")
        return argument

    def flag(self, key: Key, default: bool) -> bool:
        """Return a truth value."""
        argument = self.argument(key, default)
        if not isinstance(argument, bool):
            raise Unsupported(f"argument {key} must be a known truth value")
        return argument

    def integers(self, key: Key, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """Return a list of whole numbers; a single one counts as a list."""
        argument = self.argument(key, default)
        entries = argument if isinstance(argument, list | tuple) else [argument]
        if any(isinstance(entry, bool) or not isinstance(entry, int) for entry in entries):
            raise Unsupported(f"argument {key} must be a list of known whole numbers")
        return tuple(entries)

    def lengths(self, key: Key) -> tuple[int, ...]:
        """Return a list of whole numbers in which the length of the batch does not occur."""
        entries = self.integers(key)
        if BATCH in entries:
            raise Unsupported("it computes with the length of the batch", "Use -1 for the batch axis.")
        return entries

    def full(self, x: Value) -> list[int]:
        """Return the shape that a tensor has in the upload, ``BATCH`` for a batch axis of any length."""
        if isinstance(x, Constant):
            return list(x.array.shape)
        size = self.emitter.batch.size
        return [*([BATCH if size is None else size] * self.emitter.offset), *x.shape]


Operator = Callable[[Call], Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A registered operator.

    Attributes:
        function: makes the value, a list of values, or a tuple of one value for each output.
        shares: whether a result may share memory with the first argument.
    """

    function: Operator
    shares: bool


OPERATORS: dict[str, Entry] = {}


def operator(*kinds: str, shares: bool = False) -> Callable[[Operator], Operator]:
    """Register the meaning of ``kinds``; their in-place forms end with an underscore and follow from them."""

    def register(function: Operator) -> Operator:
        OPERATORS.update(dict.fromkeys(kinds, Entry(function, shares)))
        return function

    return register
