"""The one table of ONNX operators, and how an operator sees its node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import AttributeProto

from glocert.graph.fold import ROUNDED, Folded
from glocert.graph.limits import Limits
from glocert.graph.onnx_tensors import check_declared, constant
from glocert.graph.values import Activation, Constant, Emitter, Unsupported, Value

_T = TypeVar("_T")
_DECODERS: dict[int, Callable[[AttributeProto], object]] = {
    AttributeProto.INT: lambda attribute: int(attribute.i),
    AttributeProto.FLOAT: lambda attribute: float(attribute.f),
    AttributeProto.STRING: lambda attribute: attribute.s.decode("utf-8", "replace"),
    AttributeProto.INTS: lambda attribute: tuple(map(int, attribute.ints)),
    AttributeProto.FLOATS: lambda attribute: tuple(map(float, attribute.floats)),
    AttributeProto.TENSOR: lambda attribute: attribute.t,
}


@dataclass(slots=True)
class Call:
    """One node with its inputs at hand.

    Attributes:
        node: as stored.
        opset: version of the standard operators.
        inputs: values in the operator's order, None where left out.
        emitter: appends canonical nodes for it.
    """

    node: onnx.NodeProto
    opset: int
    inputs: tuple[Value | None, ...]
    emitter: Emitter
    _attributes: dict[str, AttributeProto] = field(init=False)

    def __post_init__(self) -> None:
        self._attributes = {attribute.name: attribute for attribute in self.node.attribute}

    @property
    def limits(self) -> Limits:
        """Limits of this import."""
        return self.emitter.builder.limits

    def optional(self, position: int) -> Value | None:
        """Return an input, or None where it was left out."""
        return self.inputs[position] if position < len(self.inputs) else None

    def value(self, position: int) -> Value:
        """Return an input that must be there."""
        value = self.optional(position)
        if value is None:
            raise Unsupported(f"input {position} is missing")
        return value

    def activation(self, position: int = 0) -> Activation:
        """Return an input that must vary."""
        value = self.value(position)
        if isinstance(value, Constant):
            raise Unsupported("it computes with constants only", "Export the model with constant folding.")
        return value

    def constant(self, position: int) -> Constant:
        """Return an input that must be known."""
        value = self.value(position)
        if isinstance(value, Activation):
            raise Unsupported(f"input {position} depends on the model's input; it must be a constant")
        return value

    def integers(self, position: int, key: str = "") -> tuple[int, ...] | None:
        """Return a list of integers given as an input, or as the attribute ``key`` in older opsets."""
        if key and key in self._attributes:
            return self.ints(key)
        if self.optional(position) is None:
            return None
        array = self.constant(position).array
        if not np.issubdtype(array.dtype, np.integer):
            raise Unsupported(f"input {position} must hold integers")
        return tuple(map(int, array.ravel()))

    def scalar(self, position: int, default: float) -> float:
        """Return a number given as an input of one element."""
        if self.optional(position) is None:
            return default
        array = self.constant(position).array
        if array.size != 1:
            raise Unsupported(f"input {position} must be one number")
        return float(array.ravel()[0])

    def attribute(self, key: str) -> object:
        """Return a decoded attribute and mark it as understood; None where it is absent."""
        stored = self._attributes.pop(key, None)
        if stored is None:
            return None
        if stored.ref_attr_name:
            raise Unsupported(f"its attribute {key!r} refers to one of a function")
        if stored.type not in _DECODERS:
            raise Unsupported(f"its attribute {key!r} has a type that is not supported")
        return _DECODERS[stored.type](stored)

    def has(self, key: str) -> bool:
        """Whether an attribute is there and not yet read."""
        return key in self._attributes

    def integer(self, key: str, default: int) -> int:
        """Return an integer attribute."""
        value = self.attribute(key)
        return default if value is None else _of_type(value, int, key)

    def number(self, key: str, default: float) -> float:
        """Return a float attribute."""
        value = self.attribute(key)
        return default if value is None else _of_type(value, float, key)

    def text(self, key: str, default: str) -> str:
        """Return a string attribute."""
        value = self.attribute(key)
        return default if value is None else _of_type(value, str, key)

    def ints(self, key: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """Return an attribute that is a list of integers."""
        value = self.attribute(key)
        if value is None:
            return default
        return tuple(_of_type(entry, int, key) for entry in _of_type(value, tuple, key))

    def floats(self, key: str) -> list[float]:
        """Return an attribute that is a list of floats."""
        return [_of_type(entry, float, key) for entry in _of_type(self.attribute(key), tuple, key)]

    def tensor(self, key: str) -> Constant | None:
        """Return an attribute that is a tensor."""
        value = self.attribute(key)
        if value is None:
            return None
        value = _of_type(value, onnx.TensorProto, key)
        check_declared(value, self.limits)
        return constant(value, self.emitter.output)

    def result(self, array: NDArray[Any]) -> Constant:
        """Wrap a folded array under the name of the node's output."""
        return Constant(array, self.emitter.output)

    def folded(self, folded: Folded) -> Constant:
        """Wrap a computed array, and say so where it was rounded."""
        if folded.rounded:
            self.note_rounding()
        return self.result(folded.array)

    def note_rounding(self) -> None:
        """Tell the user that a weight is computed from others."""
        self.emitter.builder.remark(ROUNDED)

    @property
    def outputs(self) -> list[str]:
        """Names of the node's outputs, empty where one is left out; those at the end are not counted."""
        names = list(self.node.output)
        while names and not names[-1]:
            names.pop()
        return names

    def unread(self) -> list[str]:
        """Names of the attributes that the operator did not ask for."""
        return sorted(self._attributes)


def _of_type(value: object, kind: type[_T], key: str) -> _T:
    if not isinstance(value, kind):
        raise Unsupported(f"its attribute {key!r} has the wrong type")
    return value


Result = Value | Sequence[Value]
"""The value of a node with one output, or the values of several."""

Operator = Callable[[Call], Result]
OPERATORS: dict[str, Operator] = {}
FOLDS: dict[str, Operator] = {}


def operator(*names: str) -> Callable[[Operator], Operator]:
    """Register the meaning of the standard operators ``names``."""

    def register(function: Operator) -> Operator:
        OPERATORS.update(dict.fromkeys(names, function))
        return function

    return register


def folds(*names: str) -> Callable[[Operator], Operator]:
    """Register what ``names`` do where every input is a constant."""

    def register(function: Operator) -> Operator:
        FOLDS.update(dict.fromkeys(names, function))
        return function

    return register


def is_known(kind: str) -> bool:
    """Whether an operator is supported, if only on constants."""
    return kind in OPERATORS or kind in FOLDS


def meaning(kind: str, inputs: Sequence[Value | None]) -> Operator:
    """Return the function that reads a node of a known ``kind`` with these inputs."""
    constant = all(value is None or isinstance(value, Constant) for value in inputs)
    return FOLDS[kind] if kind in FOLDS and (constant or kind not in OPERATORS) else OPERATORS[kind]
