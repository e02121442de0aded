"""Add, Sub, Mul, Div, Max, Min, Sum, Mean, MatMul, Gemm."""

from __future__ import annotations

from functools import reduce

import numpy as np

from glocert.graph import lowering, lowering_kinks
from glocert.graph.fold import broadcast
from glocert.graph.lowering_shape import ALONE, MIXES, transpose
from glocert.graph.onnx_operators.registry import Call, operator
from glocert.graph.shapes import ShapeError
from glocert.graph.values import Activation, Constant, Unsupported, Value

_EMIT = {
    "Add": lowering.add,
    "Sub": lowering.subtract,
    "Mul": lowering.multiply,
    "Div": lowering.divide,
}


@operator("Add", "Sub", "Mul", "Div")
def elementwise(call: Call) -> Value:
    """Emit the operation."""
    return _EMIT[call.node.op_type](call.emitter, call.value(0), call.value(1))


def _operands(call: Call) -> list[Value]:
    return [call.value(position) for position in range(len(call.inputs))]


@operator("Max", "Min")
def extreme(call: Call) -> Value:
    """Emit the largest or the smallest of several operands, all constants together as one."""
    largest = call.node.op_type == "Max"
    emit = lowering_kinks.maximum if largest else lowering_kinks.minimum
    values = _operands(call)
    fixed = [value.array for value in values if isinstance(value, Constant)]
    operands = [value for value in values if isinstance(value, Activation)]
    result = operands[0]
    for value in operands[1:]:
        result = emit(call.emitter, result, value)
    if not fixed:
        return result
    broadcast(call.limits, *fixed)
    bound = call.result(np.asarray(reduce(np.maximum if largest else np.minimum, fixed)))
    return emit(call.emitter, result, bound)


@operator("Sum")
def sum_(call: Call) -> Value:
    """Emit the sum of several operands."""
    return lowering_kinks.sum_of(call.emitter, _operands(call))


@operator("Mean")
def mean(call: Call) -> Value:
    """Emit the mean of several operands."""
    return lowering_kinks.mean_of(call.emitter, _operands(call))


@operator("MatMul")
def matmul(call: Call) -> Value:
    """Emit a matrix product."""
    return lowering.matmul(call.emitter, call.value(0), call.value(1))


@operator("Gemm")
def gemm(call: Call) -> Value:
    """Emit ``alpha A' B' + beta C``."""
    a, b, c = call.value(0), call.value(1), call.optional(2)
    alpha, beta = call.number("alpha", 1.0), call.number("beta", 1.0)
    flip_a, flip_b = call.integer("transA", 0), call.integer("transB", 0)
    if isinstance(a, Activation) and isinstance(b, Constant):
        if len(a.shape) + call.emitter.offset != 2:
            raise ShapeError(f"it takes a matrix, not a tensor of shape {['batch', *a.shape]}")
        weight = b if flip_b else lowering.transposed(b)
        a = transpose(call.emitter, a, (1, 0)) if flip_a else a
        return lowering.affine(call.emitter, a, weight, c, alpha, beta)
    if isinstance(a, Constant) and isinstance(b, Constant):
        raise Unsupported("it computes with constants only", "Export the model with constant folding.")
    if call.emitter.batch.present:
        raise Unsupported(MIXES, ALONE)
    left, right = _flipped(call, a, flip_a), _flipped(call, b, flip_b)
    product = lowering.scaled(call.emitter, lowering.matmul(call.emitter, left, right), alpha)
    return product if c is None or not beta else _offset(call, product, c, beta)


def _flipped(call: Call, value: Value, flip: int) -> Value:
    rank = len(value.shape) if isinstance(value, Activation) else value.array.ndim
    if rank != 2:
        raise ShapeError("it takes matrices")
    if not flip:
        return value
    if isinstance(value, Constant):
        return lowering.transposed(value)
    return transpose(call.emitter, value, (1, 0))


def _offset(call: Call, product: Activation, c: Value, beta: float) -> Activation:
    if isinstance(c, Activation):
        return lowering.add(call.emitter, product, lowering.scaled(call.emitter, c, beta))
    return lowering.add(call.emitter, product, lowering.exact_product(c, float(np.float32(beta))))
