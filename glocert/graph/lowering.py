"""Linear and elementwise layers as canonical nodes; both importers say here what their operators mean.

Axes and shapes of the arguments are those of the upload, with its batch axis where it has one. No float
is ever computed here: a scale becomes a node, and a product is taken only where it is exact.
"""

from __future__ import annotations

import numpy as np

from glocert.graph.lowering_stacked import stack_times, times_stack
from glocert.graph.shapes import ShapeError
from glocert.graph.values import Activation, Constant, Emitter, Unsupported, Value


def _pair(emitter: Emitter, x: Value, y: Value) -> tuple[Value, Value]:
    """Check that two operands broadcast sample by sample."""
    if isinstance(x, Activation) and isinstance(y, Activation):
        if len(x.shape) != len(y.shape) and emitter.batch.present and emitter.batch.size != 1:
            raise Unsupported("its operands have different ranks, so one's batch axis meets another axis")
        return x, y
    if isinstance(x, Activation) and isinstance(y, Constant):
        return x, emitter.aligned(y, len(x.shape))
    if isinstance(x, Constant) and isinstance(y, Activation):
        return emitter.aligned(x, len(y.shape)), y
    raise Unsupported("both operands are constants", "Export the model with constant folding.")


def number(emitter: Emitter, value: float, role: str) -> Constant:
    """Return a number of the upload as a parameter named after its ``role``."""
    return Constant(np.array(float(value)), f"{emitter.name}.{role}")


def add(emitter: Emitter, x: Value, y: Value) -> Activation:
    """Emit ``x + y``."""
    return emitter.add("Add", _pair(emitter, x, y))


def subtract(emitter: Emitter, x: Value, y: Value) -> Activation:
    """Emit ``x - y``."""
    return emitter.add("Sub", _pair(emitter, x, y))


def multiply(emitter: Emitter, x: Value, y: Value) -> Activation:
    """Emit ``x * y``."""
    return emitter.add("Mul", _pair(emitter, x, y))


def divide(emitter: Emitter, x: Value, y: Value) -> Activation:
    """Emit ``x / y``; a constant ``y`` has no zeros, and a varying one is inverted first."""
    x, y = _pair(emitter, x, y)
    if isinstance(y, Activation):
        inverse = emitter.add("Reciprocal", (y,))
        one = isinstance(x, Constant) and x.array.ndim <= len(y.shape) and x.array.tolist() in (1, [1])
        return inverse if one else emitter.add("Mul", (x, inverse))
    if isinstance(y, Constant) and not np.all(y.array):
        raise Unsupported("it divides by zero")
    return emitter.add("Div", (x, y))


def scaled(emitter: Emitter, x: Activation, factor: float) -> Activation:
    """Emit ``factor * x``; nothing for a factor of one."""
    if factor == 1.0:
        return x
    return emitter.add("Mul", (x, number(emitter, factor, "factor")))


def matmul(emitter: Emitter, x: Value, y: Value) -> Activation:
    """Emit a matrix product of which at least one operand varies, as numpy's ``@``."""
    if isinstance(x, Activation) and isinstance(y, Activation):
        return emitter.add("MatMul", _matrices(emitter, x, y))
    if isinstance(x, Activation) and isinstance(y, Constant):
        if _is_stack(y):
            return times_stack(emitter, x, y)
        return emitter.add("MatMul", (x, _matrix(y, len(x.shape) + emitter.offset)))
    if isinstance(x, Constant) and isinstance(y, Activation):
        if emitter.batch.present and len(y.shape) < 2:
            raise Unsupported("it sums over the batch axis", "Every sample must be computed on its own.")
        if _is_stack(x):
            return stack_times(emitter, x, y)
        return emitter.add("MatMul", (_matrix(x, len(y.shape) + emitter.offset), y))
    raise Unsupported("both operands are constants", "Export the model with constant folding.")


def _matrices(emitter: Emitter, x: Activation, y: Activation) -> tuple[Activation, Activation]:
    """Check that a product of two activations is one product per sample."""
    if emitter.batch.present and len(x.shape) != len(y.shape):
        raise Unsupported("its operands have different ranks, so one's batch axis meets another axis")
    if emitter.batch.present and len(x.shape) < 2:
        raise Unsupported("it sums over the batch axis", "Every sample must be computed on its own.")
    return x, y


def _is_stack(value: Constant) -> bool:
    """Whether a constant is more than one matrix."""
    return any(size != 1 for size in value.array.shape[:-2])


def _matrix(value: Constant, rank: int) -> Constant:
    """Drop leading unit axes that broadcasting adds to a matrix, as long as they add none to the result."""
    array = value.array
    if array.ndim > max(rank, 2):
        raise Unsupported(f"its operand {value.name!r} of shape {list(array.shape)} adds axes to the other")
    return value if array.ndim <= 2 else Constant(array.reshape(array.shape[-2:]), value.name)


def dense(emitter: Emitter, x: Activation, weight: Constant, bias: Constant | None) -> Activation:
    """Emit ``x W^T + b`` on the last axis; ``weight`` of shape (n, k), ``bias`` of shape (n,) or None."""
    if len(x.shape) == 1:
        return emitter.add("Gemm", (x, weight) if bias is None else (x, weight, bias))
    product = matmul(emitter, x, transposed(weight))
    return product if bias is None else add(emitter, product, bias)


def transposed(weight: Constant) -> Constant:
    """Return a matrix with its axes exchanged."""
    if weight.array.ndim != 2:
        raise ShapeError(f"{weight.name!r} of shape {list(weight.array.shape)} is no matrix")
    return Constant(np.ascontiguousarray(weight.array.T), weight.name)


def affine(
    emitter: Emitter, x: Activation, weight: Constant, offset: Value | None, alpha: float, beta: float
) -> Activation:
    """Emit ``alpha x W^T + beta offset`` with every factor as a node of its own."""
    bias = _plain_bias(offset, weight.array.shape[0]) if alpha == beta == 1.0 else None
    product = scaled(emitter, dense(emitter, x, weight, bias), alpha)
    if bias is not None or offset is None or beta == 0.0:
        return product
    if isinstance(offset, Activation):
        return add(emitter, product, scaled(emitter, offset, beta))
    return add(emitter, product, exact_product(offset, beta))


def _plain_bias(offset: Value | None, outputs: int) -> Constant | None:
    """Return the offset as a bias of shape (n,) where it is one for every sample."""
    if not isinstance(offset, Constant) or offset.array.ndim > 2:
        return None
    array = offset.array[0] if offset.array.ndim == 2 and len(offset.array) == 1 else offset.array
    if array.shape not in {(), (1,), (outputs,)}:
        return None
    return Constant(np.ascontiguousarray(np.broadcast_to(array, (outputs,))), offset.name)


def exact_product(value: Constant, factor: float) -> Constant:
    """Multiply in float64, where two float32 numbers have an exact product.

    Raises:
        Unsupported: the product may be rounded.
    """
    if factor == 1.0:
        return value
    if value.array.dtype != np.float32 or float(np.float32(factor)) != factor:
        raise Unsupported(
            f"scaling {value.name!r} by {factor} would round", "Scale the constant before exporting."
        )
    return Constant(value.array.astype(np.float64) * factor, f"{value.name}.scaled")


def batch_normalization(
    emitter: Emitter, x: Activation, parameters: tuple[Constant, Constant, Constant, Constant], epsilon: float
) -> Activation:
    """Emit an inference-time batch normalisation; ``parameters`` are scale, bias, mean and variance.

    Raises:
        Unsupported: without a batch axis, or an epsilon or a variance below zero.
    """
    if not emitter.batch.present:
        raise Unsupported("it needs a batch axis")
    if not epsilon >= 0:
        raise Unsupported(f"its epsilon {epsilon} is not a number from zero on")
    variance = parameters[3].array
    if not (variance.astype(np.float64) + epsilon > 0).all():
        raise Unsupported("a variance plus epsilon is not above zero")
    return emitter.add("BatchNormalization", (x, *parameters), {"epsilon": float(epsilon)})


def clip(emitter: Emitter, x: Activation, low: float, high: float) -> Activation:
    """Emit ``min(max(x, low), high)``.

    Raises:
        Unsupported: a bound is NaN, or they are in the wrong order.
    """
    if not low <= high:
        raise Unsupported(f"its bounds {low} and {high} are not in order")
    return emitter.add("Clip", (x,), {"min": float(low), "max": float(high)})


def leaky_relu(emitter: Emitter, x: Activation, slope: float) -> Activation:
    """Emit ``x`` above zero and ``slope * x`` below."""
    if not np.isfinite(slope):
        raise Unsupported(f"its slope {slope} is not finite")
    return emitter.add("LeakyRelu", (x,), {"alpha": float(slope)})
