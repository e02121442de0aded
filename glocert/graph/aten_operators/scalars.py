"""Numbers, lists and shapes: computed while reading, never in the graph."""

from __future__ import annotations

import math
import operator as python
from collections.abc import Callable
from typing import Any

from glocert.graph.aten_operators.registry import Call, operator
from glocert.graph.values import BATCH, Activation, Constant, Unsupported

_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "aten::eq": python.eq,
    "aten::ne": python.ne,
    "aten::lt": python.lt,
    "aten::le": python.le,
    "aten::gt": python.gt,
    "aten::ge": python.ge,
}


def on_numbers(call: Call) -> bool:
    """Whether both operands are numbers of known value.

    Raises:
        Unsupported: one is the length of the batch.
    """
    operands = call.arguments[:2]
    if not all(isinstance(operand, int | float) for operand in operands):
        return False
    if BATCH in operands:
        raise Unsupported("it computes with the length of the batch", "Use -1 for the batch axis.")
    return True


def quotient(first: float, second: float, rounding: str | None) -> float:
    """Divide two known numbers.

    Raises:
        Unsupported: the divisor is zero, or numbers with a fraction are rounded.
    """
    if second == 0:
        raise Unsupported("it divides by zero")
    if rounding is None:
        return first / second
    if rounding not in {"floor", "trunc"} or not (isinstance(first, int) and isinstance(second, int)):
        raise Unsupported("it rounds a quotient of numbers that are not whole")
    down = first // second
    return down + (rounding == "trunc" and down < 0 and down * second != first)


def compared_numbers(call: Call) -> Any:
    """Compare two numbers, strings or lists."""
    first, second = call.arguments[:2]
    compare = _COMPARISONS[call.kind]
    if first == BATCH and isinstance(second, int) and second <= 0:
        return compare(1, second)  # a batch has at least one sample
    if BATCH in (first, second):
        raise Unsupported("the computation depends on the length of the batch")
    return compare(first, second)


@operator("aten::__is__", "aten::__isnot__")
def is_same(call: Call) -> bool:
    """Compare with None."""
    same = call.argument(0) is call.argument(1)
    return same if call.kind == "aten::__is__" else not same


@operator("aten::__not__")
def negation(call: Call) -> bool:
    """Return the opposite truth value."""
    return not call.flag(0, False)


@operator("aten::__and__", "aten::__or__")
def junction(call: Call) -> bool:
    """Join two truth values."""
    pair = call.flag(0, False), call.flag(1, False)
    return all(pair) if call.kind == "aten::__and__" else any(pair)


@operator("aten::floordiv", "aten::floor_divide", "aten::remainder")
def whole_division(call: Call) -> Any:
    """Divide whole numbers."""
    first, second = call.integer(0, 0), call.integer(1, 0)
    if not on_numbers(call) or second == 0:
        raise Unsupported("it divides by zero")
    return first % second if call.kind == "aten::remainder" else first // second


@operator("aten::size")
def size(call: Call) -> Any:
    """Return the shape, or the length of one axis; that of the batch stays open."""
    shape = call.full(call.value(0))
    if len(call.arguments) == 1:
        return shape
    axis = call.integer(1, 0)
    if not -len(shape) <= axis < len(shape):
        raise Unsupported(f"axis {axis} is out of range")
    return shape[axis]


@operator("aten::dim")
def rank(call: Call) -> int:
    """Return the number of axes."""
    return len(call.full(call.value(0)))


@operator("aten::__contains__")
def contains(call: Call) -> bool:
    """Look for a known entry in a list or a key in a dictionary."""
    holder, wanted = call.arguments[:2]
    if not isinstance(holder, list | tuple | dict) or not isinstance(wanted, int | float | str):
        raise Unsupported("it searches a tensor")
    if BATCH in holder or wanted == BATCH:
        raise Unsupported("the computation depends on the length of the batch")
    return wanted in holder


@operator("aten::len")
def length(call: Call) -> int:
    """Return the length of a list."""
    entries = call.argument(0)
    if not isinstance(entries, list | tuple | dict | str):
        raise Unsupported("it asks for the length of a tensor")
    return len(entries)


@operator("aten::__getitem__")
def item(call: Call) -> Any:
    """Return an entry of a list or a dictionary."""
    holder, key = call.arguments[:2]
    if not isinstance(holder, list | tuple | dict):
        raise Unsupported("it indexes a tensor")
    try:
        return holder[key]
    except (KeyError, IndexError, TypeError):
        raise Unsupported("its index is out of range") from None


@operator("aten::Int", "aten::Float", "aten::Bool", "aten::IntImplicit", "aten::FloatImplicit", "aten::item")
def number(call: Call) -> Any:
    """Return a known number; numbers out of activations are refused."""
    argument = call.argument(0)
    if isinstance(argument, Activation):
        raise Unsupported("it reads a number out of a tensor that depends on the input")
    if isinstance(argument, Constant):
        if argument.array.size != 1:
            raise Unsupported("it reads a number out of a tensor of several")
        argument = argument.array.item()
    if argument == BATCH:
        return argument
    convert: dict[str, Callable[[Any], Any]] = {"Int": int, "Float": float, "Bool": bool}
    kind = call.kind.removeprefix("aten::").removesuffix("Implicit")
    return convert.get(kind, lambda same: same)(argument)


@operator("aten::floor", "aten::ceil")
def rounded(call: Call) -> int:
    """Round a known number."""
    argument = call.argument(0)
    if not isinstance(argument, int | float) or argument == BATCH or not math.isfinite(argument):
        raise Unsupported(f"{call.kind} jumps: no continuous function bounds it")
    return math.floor(argument) if call.kind == "aten::floor" else math.ceil(argument)


@operator("aten::__range_length")
def range_length(call: Call) -> int:
    """Count the steps of a range."""
    start, stop, step = (call.integer(position, 0) for position in range(3))
    if BATCH in (start, stop, step) or step == 0:
        raise Unsupported("it computes with the length of the batch")
    return len(range(start, stop, step))


@operator("aten::__derive_index")
def derived_index(call: Call) -> int:
    """Return the entry of a range at a position."""
    position, start, step = (call.integer(place, 0) for place in range(3))
    return start + position * step


@operator("aten::list")
def copied(call: Call) -> list[Any]:
    """Copy a list."""
    entries = call.argument(0)
    if not isinstance(entries, list):
        raise Unsupported("it makes a list of something else")
    return list(entries)


@operator("prim::NumToTensor", "aten::ScalarImplicit", "prim::unchecked_cast", "aten::scalar_tensor")
def passed_on(call: Call) -> Any:
    """Return the argument."""
    if call.kind == "aten::scalar_tensor" and not isinstance(call.argument(0), int | float):
        raise Unsupported("it makes a tensor of something that is no number")
    return call.argument(0)
