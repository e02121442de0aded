"""Smooth functions of one number, and Softmax, as canonical nodes.

Numbers of the upload become parameters or attributes as they are stored; nothing is computed from them.
"""

from __future__ import annotations

import math

from glocert.graph.families import FUNCTIONS
from glocert.graph.lowering import add, clip, multiply, number, scaled
from glocert.graph.lowering_masked import masked_softmax
from glocert.graph.lowering_select import full
from glocert.graph.lowering_shape import reshape
from glocert.graph.values import Activation, Emitter, Unsupported

PLAIN = frozenset(name for name, attributes in FUNCTIONS.items() if not attributes)
"""Canonical functions without attributes."""


def function(emitter: Emitter, operator: str, x: Activation) -> Activation:
    """Emit one of the functions in ``PLAIN``."""
    if operator not in PLAIN:
        raise ValueError(f"{operator} is no function without attributes")
    return emitter.add(operator, (x,))


def elu(emitter: Emitter, x: Activation, alpha: float) -> Activation:
    """Emit ``x`` above zero and ``alpha (exp(x) - 1)`` below."""
    return emitter.add("Elu", (x,), {"alpha": _finite("alpha", alpha)})


def selu(emitter: Emitter, x: Activation, alpha: float, gamma: float) -> Activation:
    """Emit ``gamma elu(x)``."""
    return scaled(emitter, elu(emitter, x, alpha), _finite("gamma", gamma))


def celu(emitter: Emitter, x: Activation, alpha: float) -> Activation:
    """Emit ``x`` above zero and ``alpha (exp(x / alpha) - 1)`` below.

    Raises:
        Unsupported: ``alpha`` is not above zero.
    """
    if not _finite("alpha", alpha) > 0:
        raise Unsupported(f"its alpha {alpha} is not above zero")
    if alpha == 1.0:
        return elu(emitter, x, 1.0)
    # alpha elu(x / alpha) with the usual elu: the same function, and linear above zero.
    shrunk = emitter.add("Div", (x, number(emitter, alpha, "alpha")))
    return scaled(emitter, elu(emitter, shrunk, 1.0), alpha)


def gelu(emitter: Emitter, x: Activation, approximate: str) -> Activation:
    """Emit a Gelu, ``approximate`` being ``none`` or ``tanh``."""
    if approximate not in {"none", "tanh"}:
        raise Unsupported(f"its approximation {approximate!r} is unknown")
    return emitter.add("Gelu", (x,), {"approximate": approximate})


def softplus(emitter: Emitter, x: Activation, beta: float = 1.0) -> Activation:
    """Emit ``log(1 + exp(beta x)) / beta``.

    Raises:
        Unsupported: ``beta`` is zero.
    """
    if _finite("beta", beta) == 0:
        raise Unsupported("its beta is zero")
    smooth = emitter.add("Softplus", (scaled(emitter, x, beta),))
    return smooth if beta == 1.0 else emitter.add("Div", (smooth, number(emitter, beta, "beta")))


def softsign(emitter: Emitter, x: Activation) -> Activation:
    """Emit ``x / (1 + |x|)``."""
    size = add(emitter, emitter.add("LeakyRelu", (x,), {"alpha": -1.0}), number(emitter, 1.0, "one"))
    return emitter.add("Mul", (x, emitter.add("Reciprocal", (size,))))


def hard_sigmoid(emitter: Emitter, x: Activation, alpha: float, beta: float) -> Activation:
    """Emit ``min(max(alpha x + beta, 0), 1)``."""
    line = scaled(emitter, x, _finite("alpha", alpha))
    if _finite("beta", beta) != 0:
        line = add(emitter, line, number(emitter, beta, "beta"))
    return clip(emitter, line, 0.0, 1.0)


def gated(emitter: Emitter, x: Activation, gate: Activation) -> Activation:
    """Emit ``x * sigmoid(gate)``, which is a Silu where the two are the same."""
    if x.name == gate.name:
        return emitter.add("Silu", (x,))
    return multiply(emitter, x, emitter.add("Sigmoid", (gate,)))


def power(emitter: Emitter, x: Activation, exponent: float) -> Activation:
    """Emit ``x`` to a constant power, as simply as it can be said.

    Raises:
        Unsupported: the exponent is zero, NaN or infinite.
    """
    if _finite("exponent", exponent) == 0:
        raise Unsupported("an exponent of zero makes a constant")
    if exponent == 1.0:
        return x
    named = {0.5: "Sqrt", -1.0: "Reciprocal"}
    if exponent in named:
        return emitter.add(named[exponent], (x,))
    return emitter.add("Pow", (x,), {"exponent": float(exponent)})


def softmax(emitter: Emitter, x: Activation, axis: int) -> Activation:
    """Emit a Softmax over one axis of the upload's tensor."""
    inner = emitter.axis(axis, len(x.shape))
    return masked_softmax(emitter, x, inner) or emitter.add("Softmax", (x,), {"axis": inner})


def softmax_of_matrix(emitter: Emitter, x: Activation, axis: int) -> Activation:
    """Emit a Softmax over all axes from ``axis`` on taken together: the meaning before opset 13.

    Raises:
        Unsupported: samples would be mixed.
    """
    inner = emitter.axis(axis, len(x.shape))
    if inner == len(x.shape) - 1:
        return emitter.add("Softmax", (x,), {"axis": inner})
    sizes = (*x.shape[:inner], math.prod(x.shape[inner:]))
    joined = emitter.add("Softmax", (reshape(emitter, x, full(emitter, sizes)),), {"axis": inner})
    return reshape(emitter, joined, full(emitter, x.shape))


def logarithm(emitter: Emitter, x: Activation) -> Activation:
    """Emit a natural logarithm."""
    return emitter.add("Log", (x,))


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise Unsupported(f"its {name} {value} is not finite")
    return float(value)
