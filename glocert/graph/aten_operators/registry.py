"""The one table of TorchScript operators, and how an operator sees its arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glocert.graph.torchscript_program import Instruction
from glocert.graph.values import BATCH, Activation, Constant, Emitter, Unsupported, Value


class Unknown:
    """A number that depends on a shape that is not known yet."""


UNKNOWN = Unknown()


@dataclass(frozen=True, slots=True)
class Missing:
    """A tensor that an operator could not make, or whose shape is not known yet."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What a function at the end of a network makes; nothing else may read it.

    Attributes:
        value: its argument.
        operator: Softmax, LogSoftmax or Sigmoid.
        instruction: where it is.
    """

    value: Value | Missing | Scores
    operator: str
    instruction: Instruction


@dataclass(eq=False, slots=True)
class Cell:
    """A tensor variable, which operators in place can change.

    Attributes:
        value: what it holds.
        storage: all cells that may share memory, this one included.
        stale: whether a change through another cell of its storage made ``value`` wrong.
    """

    value: Value | Missing | Scores
    storage: list[Cell] = field(default_factory=list)
    stale: bool = False

    def __post_init__(self) -> None:
        self.storage.append(self)


@dataclass(slots=True)
class Call:
    """One node with its arguments at hand.

    Attributes:
        kind: operator without a trailing underscore.
        arguments: Python numbers, lists, strings, None, or values for tensors.
        emitter: appends canonical nodes for it.
        dtype: of the network's weights.
    """

    kind: str
    arguments: tuple[Any, ...]
    emitter: Emitter
    dtype: str

    def argument(self, position: int, default: Any = None) -> Any:
        """Return an argument, or ``default`` where the call has fewer."""
        return self.arguments[position] if position < len(self.arguments) else default

    def value(self, position: int) -> Value:
        """Return a tensor; a number becomes a constant as the runtime would round it."""
        argument = self.argument(position)
        if isinstance(argument, Constant):
            return self._float(argument)
        if isinstance(argument, Activation):
            return argument
        if isinstance(argument, bool) or not isinstance(argument, int | float) or argument == BATCH:
            raise Unsupported(f"argument {position} is no tensor")
        return Constant(np.array(argument, self.dtype), f"{self.emitter.output}.{position}")

    def _float(self, constant: Constant) -> Constant:
        """Turn whole numbers, and single numbers of another float type, into the network's type."""
        array = constant.array
        if array.dtype == self.dtype or (constant.is_float and array.ndim):
            return constant
        converted = array.astype(self.dtype)
        if not constant.is_float and not np.array_equal(converted, array):
            raise Unsupported(f"the whole numbers of {constant.name!r} would be rounded")
        return Constant(converted, constant.name)

    def activation(self, position: int = 0) -> Activation:
        """Return a tensor that must vary."""
        value = self.value(position)
        if isinstance(value, Constant):
            raise Unsupported("it computes with constants only")
        return value

    def constant(self, position: int) -> Constant:
        """Return a tensor that must be known."""
        value = self.value(position)
        if isinstance(value, Activation):
            raise Unsupported(f"argument {position} depends on the model's input; it must be a weight")
        return value

    def optional(self, position: int) -> Constant | None:
        """Return a weight, or None where there is none."""
        return None if self.argument(position) is None else self.constant(position)

    def number(self, position: int, default: float) -> float:
        """Return a number as the network's type would round it."""
        argument = self.argument(position, default)
        if isinstance(argument, Constant) and argument.array.size == 1:
            argument = argument.array.item()
        if isinstance(argument, bool) or not isinstance(argument, int | float) or argument == BATCH:
            raise Unsupported(f"argument {position} must be a known number")
        return float(np.array(argument, self.dtype))

    def integer(self, position: int, default: int) -> int:
        """Return a whole number."""
        argument = self.argument(position, default)
        if isinstance(argument, bool) or not isinstance(argument, int):
            raise Unsupported(f"argument {position} must be a known whole number")
        return argument

    def flag(self, position: int, default: bool) -> bool:
        """Return a truth value."""
        argument = self.argument(position, default)
        if not isinstance(argument, bool):
            raise Unsupported(f"argument {position} must be a known truth value")
        return argument

    def integers(self, position: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """Return a list of whole numbers; a single one counts as a list."""
        argument = self.argument(position, default)
        entries = argument if isinstance(argument, list | tuple) else [argument]
        if any(isinstance(entry, bool) or not isinstance(entry, int) for entry in entries):
            raise Unsupported(f"argument {position} must be a list of known whole numbers")
        return tuple(entries)


Operator = Callable[[Call], Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A registered operator.

    Attributes:
        function: makes the value.
        shares: whether the result may share memory with the first argument.
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
