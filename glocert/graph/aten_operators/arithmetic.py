"""Sums, products and quotients, of weights or of activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from glocert.graph import lowering
from glocert.graph.aten_operators.registry import Call, operator
from glocert.graph.aten_operators.scalars import on_numbers, quotient
from glocert.graph.lowering_reduce import negative
from glocert.graph.lowering_shape import transpose
from glocert.graph.values import Activation, Constant, Emitter, Unsupported, Value


def _scaled(call: Call, value: Value, key: int | str) -> Value:
    """Multiply an addend by ``alpha``."""
    factor = call.number(key, 1.0)
    if factor == 1.0:
        return value
    if isinstance(value, Activation):
        return lowering.scaled(call.emitter, value, factor)
    return lowering.exact_product(value, factor)


@operator("aten::add", "aten::sub", "aten::rsub")
def add(call: Call) -> Any:
    """Emit a sum or a difference; numbers are added at once, and lists are joined."""
    if isinstance(call.argument(0), list | tuple):
        return [*call.argument(0), *_list(call.argument(1))]
    if on_numbers(call):
        return call.arguments[0] + call.arguments[1] if call.kind == "aten::add" else _difference(call)
    x, y = call.value(0), _scaled(call, call.value(1), 2)
    if call.kind == "aten::add":
        return lowering.add(call.emitter, x, y)
    if call.kind == "aten::rsub":
        return lowering.subtract(call.emitter, call.value(1), _scaled(call, x, 2))
    return lowering.subtract(call.emitter, x, y)


def _list(entries: Any) -> list[Any]:
    if not isinstance(entries, list | tuple):
        raise Unsupported("it adds something else to a list")
    return list(entries)


def _difference(call: Call) -> Any:
    first, second = call.arguments[:2]
    return first - second if call.kind == "aten::sub" else second - first


@operator("aten::mul", "aten::multiply", "aten::div", "aten::divide", "aten::true_divide")
def multiply(call: Call) -> Any:
    """Emit a product or a quotient."""
    product = call.kind in {"aten::mul", "aten::multiply"}
    if on_numbers(call):
        first, second = call.arguments[:2]
        if product:
            return first * second
        return quotient(first, second, call.argument("rounding_mode"))
    if not product and call.argument("rounding_mode") is not None:
        raise Unsupported("a rounded division jumps: no continuous function bounds it")
    emit: Callable[[Emitter, Value, Value], Activation]
    emit = lowering.multiply if product else lowering.divide
    return emit(call.emitter, call.value(0), call.value(1))


@operator("aten::addcmul", "aten::addcdiv")
def add_product(call: Call) -> Value:
    """Emit ``x + value * a * b``, or a quotient instead of the product."""
    emit = lowering.multiply if call.kind == "aten::addcmul" else lowering.divide
    product: Value = emit(call.emitter, call.value(1), call.value(2))
    return lowering.add(call.emitter, call.value(0), _scaled(call, product, "value"))


@operator("aten::neg", "aten::negative")
def negate(call: Call) -> Any:
    """Emit a multiplication by -1."""
    if isinstance(call.argument(0), int | float):
        return -call.argument(0)
    return negative(call.emitter, call.activation())


@operator("aten::linear")
def linear(call: Call) -> Value:
    """Emit ``x W^T + b``."""
    return lowering.dense(call.emitter, call.activation(), call.constant(1), call.optional(2))


@operator("aten::addmm")
def addmm(call: Call) -> Value:
    """Emit ``beta b + alpha x W``."""
    weight = lowering.transposed(call.constant(2))
    beta, alpha = call.number(3, 1.0), call.number(4, 1.0)
    x = call.activation(1)
    if len(call.full(x)) != 2:
        raise Unsupported("it takes a matrix")
    return lowering.affine(call.emitter, x, weight, call.value(0), alpha, beta)


def _alike(call: Call, value: Value, other: Value) -> Value:
    """Take a weight with a matrix for every sample as one matrix, where all are the same."""
    if not isinstance(value, Constant) or not isinstance(other, Activation):
        return value
    every = call.emitter.batch.present and value.array.ndim == len(other.shape) + 1 > 2
    return call.emitter.sample(value) if every else value


@operator("aten::baddbmm")
def baddbmm(call: Call) -> Value:
    """Emit ``beta b + alpha x y`` for one matrix product in every sample."""
    product = _scaled(call, _product(call, 1, 2), "alpha")
    if call.number("beta", 1.0) == 0.0:
        return product
    return lowering.add(call.emitter, _scaled(call, call.value(0), "beta"), product)


@operator("aten::matmul", "aten::mm", "aten::bmm")
def matmul(call: Call) -> Value:
    """Emit a matrix product; one with a weight on its right is a dense layer."""
    return _product(call, 0, 1)


def _product(call: Call, left: int, right: int) -> Value:
    first, second = call.value(left), call.value(right)
    x, y = _alike(call, first, second), _alike(call, second, first)
    if isinstance(x, Activation) and isinstance(y, Constant) and y.array.ndim == 2 and len(x.shape) == 1:
        return lowering.dense(call.emitter, x, lowering.transposed(y), None)
    return lowering.matmul(call.emitter, x, y)


@operator("aten::t", "aten::numpy_T", shares=True)
def transposed(call: Call) -> Value:
    """Exchange the axes of a matrix."""
    x = call.value(0)
    if isinstance(x, Constant):
        return lowering.transposed(x) if x.array.ndim == 2 else x
    return transpose(call.emitter, x, (1, 0))
