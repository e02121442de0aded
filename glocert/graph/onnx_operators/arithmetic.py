"""Add, Sub, Mul, Div, MatMul, Gemm."""

from __future__ import annotations

import numpy as np

from glocert.graph import lowering
from glocert.graph.fold import exact_arithmetic
from glocert.graph.lowering_shape import transpose
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
    """Emit the operation; between constants only where no rounding can happen."""
    x, y = call.value(0), call.value(1)
    if isinstance(x, Constant) and isinstance(y, Constant):
        return call.result(exact_arithmetic(call.node.op_type, x, y, call.limits))
    return _EMIT[call.node.op_type](call.emitter, x, y)


@operator("MatMul")
def matmul(call: Call) -> Value:
    """Emit a product with a constant matrix on either side."""
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
    if isinstance(a, Constant) and isinstance(b, Activation) and not call.emitter.batch.present:
        left = lowering.transposed(a) if flip_a else a
        right = transpose(call.emitter, b, (1, 0)) if flip_b else b
        product = lowering.scaled(call.emitter, lowering.matmul(call.emitter, left, right), alpha)
        return product if c is None or not beta else _offset(call, product, c, beta)
    raise Unsupported("it is supported for a batch times a constant matrix only")


def _offset(call: Call, product: Activation, c: Value, beta: float) -> Activation:
    if isinstance(c, Activation):
        return lowering.add(call.emitter, product, lowering.scaled(call.emitter, c, beta))
    return lowering.add(call.emitter, product, lowering.exact_product(c, float(np.float32(beta))))
