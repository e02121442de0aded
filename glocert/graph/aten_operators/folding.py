"""Arithmetic on weights alone, which is done while reading."""

from __future__ import annotations

from glocert.graph import fold
from glocert.graph.aten_operators.registry import Call
from glocert.graph.values import Constant, Unsupported

_FUNCTIONS = {
    "aten::abs": "Abs",
    "aten::cos": "Cos",
    "aten::exp": "Exp",
    "aten::log": "Log",
    "aten::neg": "Neg",
    "aten::reciprocal": "Reciprocal",
    "aten::relu": "Relu",
    "aten::sigmoid": "Sigmoid",
    "aten::sin": "Sin",
    "aten::sqrt": "Sqrt",
    "aten::tanh": "Tanh",
}
_PAIRS = {
    "aten::add": "Add",
    "aten::sub": "Sub",
    "aten::mul": "Mul",
    "aten::multiply": "Mul",
    "aten::div": "Div",
    "aten::divide": "Div",
    "aten::true_divide": "Div",
}
FOLDED = frozenset({*_FUNCTIONS, *_PAIRS, "aten::rsub", "aten::pow"})
"""Operators that are computed at once where no operand varies."""


def folded(call: Call) -> Constant:
    """Return what an operator makes of weights and numbers.

    Raises:
        Unsupported: the operands have different types, or a result is not finite.
    """
    limits = call.emitter.builder.limits
    x = call.constant(0)
    if call.kind in _FUNCTIONS:
        result = fold.function(_FUNCTIONS[call.kind], x)
    elif call.kind == "aten::pow":
        result = fold.power(x, call.constant(1), limits)
    else:
        if call.number("alpha", 1.0) != 1.0 or call.argument("rounding_mode") is not None:
            raise Unsupported("both operands are constants", "Export the model with constant folding.")
        y = call.constant(1)
        if call.kind == "aten::rsub":
            result = fold.arithmetic("Sub", y, x, limits)
        else:
            result = fold.arithmetic(_PAIRS[call.kind], x, y, limits)
    if result.rounded and fold.ROUNDED not in call.notes:
        call.notes.append(fold.ROUNDED)
    return Constant(result.array, call.emitter.output)
