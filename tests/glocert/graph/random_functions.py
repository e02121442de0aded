"""Layers of random networks that are not affine: smooth functions, products, extremes, normalisation."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tests.glocert.graph.random_networks import Network


def _small(net: Network, x: str) -> str:
    """Bring numbers into [-2, 2], where no function grows beyond float32."""
    two = net.constant(np.array(2.0, np.float32))
    return net.emit("Mul", [net.emit("Tanh", [x]), two])


def function(net: Network, x: str, shape: list[int]) -> str:
    kinds = {"Erf": 9, "Exp": 7, "HardSwish": 14, "Mish": 18, "Sigmoid": 7, "Sin": 7, "Cos": 7, "Softplus": 7}
    fits = [kind for kind, first in kinds.items() if net.opset >= first]
    return net.emit(net.draw(st.sampled_from(fits)), [_small(net, x)])


def of_positive(net: Network, x: str, shape: list[int]) -> str:
    inner = net.emit("Exp", [_small(net, x)])
    return net.emit(net.draw(st.sampled_from(["Log", "Sqrt", "Reciprocal"])), [inner])


def with_coefficients(net: Network, x: str, shape: list[int]) -> str:
    kind = net.draw(st.sampled_from(["Elu", "HardSigmoid", "Selu"]))
    attributes = {"alpha": net.draw(st.sampled_from([0.3, 1.0]))} if net.draw(st.booleans()) else {}
    return net.emit(kind, [_small(net, x)], **attributes)


def power(net: Network, x: str, shape: list[int]) -> str:
    exponent = net.draw(st.sampled_from([1.0, 2.0, 3.0]))
    return net.emit("Pow", [_small(net, x), net.constant(np.array(exponent, np.float32))])


def softmax(net: Network, x: str, shape: list[int]) -> str:
    kind = net.draw(st.sampled_from(["Softmax", "LogSoftmax"]))
    axis = net.draw(st.integers(1, len(shape)))
    inner = net.emit(kind, [_small(net, x)], axis=axis)
    return net.emit("Add", [inner, net.positive(1)])  # so that it is never cut off


def product(net: Network, x: str, shape: list[int]) -> str:
    gate = net.emit(net.draw(st.sampled_from(["Sigmoid", "Tanh"])), [x])
    return net.emit("Mul", [gate, x] if net.draw(st.booleans()) else [_small(net, x), gate])


def quotient(net: Network, x: str, shape: list[int]) -> str:
    below = net.emit("Exp", [_small(net, x)])
    above = net.draw(st.sampled_from([x, net.positive(*shape)]))
    return net.emit("Div", [above, below])


def extreme(net: Network, x: str, shape: list[int]) -> str:
    other = net.draw(st.sampled_from([net.emit("Neg", [x]), net.weights(*shape), net.weights(1)]))
    return net.emit(net.draw(st.sampled_from(["Max", "Min"])), [x, other])


def mean(net: Network, x: str, shape: list[int]) -> str:
    parts = [x, net.emit("Abs", [x]), net.weights(*shape)]
    count = net.draw(st.integers(1, 3))
    return net.emit(net.draw(st.sampled_from(["Mean", "Sum"])), parts[:count])


def prelu(net: Network, x: str, shape: list[int]) -> str:
    sizes = net.draw(st.sampled_from([[1], shape, [shape[0], *[1] * (len(shape) - 1)]]))
    return net.emit("PRelu", [x, net.positive(*sizes)])


def normalization(net: Network, x: str, shape: list[int]) -> str:
    x = _small(net, x)
    kinds = ["InstanceNormalization"] if len(shape) > 1 else []
    kinds += ["LayerNormalization"] if net.opset >= 17 else []
    kind = net.draw(st.sampled_from(kinds or ["Identity"]))
    if kind == "Identity":
        return net.emit(kind, [x])
    sizes = shape[:1] if kind == "InstanceNormalization" else shape[-1:]
    return net.emit(kind, [x, net.weights(*sizes), net.weights(*sizes)], epsilon=0.1)


def inner_product(net: Network, x: str, shape: list[int]) -> str:
    if len(shape) < 2:
        return net.emit("Identity", [x])
    order = [*range(len(shape) - 1), len(shape), len(shape) - 1]
    small = _small(net, x)
    return net.emit("MatMul", [small, net.emit("Transpose", [small], perm=order)])


SMOOTH = (
    function,
    function,
    of_positive,
    with_coefficients,
    power,
    softmax,
    product,
    quotient,
    extreme,
    mean,
    prelu,
    normalization,
    inner_product,
)
