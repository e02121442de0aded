"""Reference execution of a graph in torch: what every engine and exporter is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from glocert.graph.functions import EVALUATE, Evaluate
from glocert.graph.ir import Graph, Node
from glocert.graph.pooling import divisors, overhang

Shape = tuple[int, ...]
Step = Callable[..., Tensor]
_STEPS: dict[str, Step] = {}


def step(*operators: str) -> Callable[[Step], Step]:
    """Register the execution of ``operators``: ``f(node, per-sample shape of its output, *inputs)``."""

    def register(function: Step) -> Step:
        _STEPS.update(dict.fromkeys(operators, function))
        return function

    return register


Watch = Callable[[Node, Sequence[Tensor]], None]
"""Sees each node and its inputs before it is executed."""


def run(
    graph: Graph, x: Tensor, parameters: Mapping[str, Tensor] | None = None, watch: Watch | None = None
) -> Tensor:
    """Execute ``graph`` on a batch.

    Args:
        graph: a network of canonical operators.
        x: shape (N, *graph.input_shape), any float dtype, any device; not changed.
        parameters: tensors that stand for parameters of these names, of the dtype and device of ``x``;
            gradients flow into them.
        watch: see ``Watch``.

    Returns:
        Shape (N, *graph.output_shape), dtype and device of ``x``; parameters are cast to them.

    Raises:
        ValueError: ``x`` has another per-sample shape.
    """
    if tuple(x.shape[1:]) != graph.input_shape:
        raise ValueError(f"expected (N, {graph.input_shape}), got {tuple(x.shape)}")
    values = {graph.input: x}
    given = parameters or {}
    last_uses = graph.last_uses()
    for position, node in enumerate(graph.nodes):
        arguments = [
            given[name][None] if name in given else _argument(graph, values, name, x) for name in node.inputs
        ]
        if watch is not None:
            watch(node, arguments)
        function = _STEPS[node.operator]
        values[node.output] = function(node, graph.shapes[node.output], *arguments)
        for name in {*node.inputs, node.output} & values.keys():
            if last_uses[name] <= position:
                del values[name]
    return values[graph.output]


def _argument(graph: Graph, values: dict[str, Tensor], name: str, like: Tensor) -> Tensor:
    """Return an activation, or a parameter with a batch axis of length one."""
    if name in values:
        return values[name]
    return torch.tensor(graph.parameters[name], dtype=like.dtype, device=like.device)[None]


def _aligned(x: Tensor, rank: int) -> Tensor:
    """Give ``x`` the per-sample rank ``rank`` by unit axes after the batch axis."""
    if x.dim() == rank + 1:
        return x
    return x.reshape(x.shape[0], *[1] * (rank + 1 - x.dim()), *x.shape[1:])


@step("Add")
def _add(_node: Node, shape: Shape, x: Tensor, y: Tensor) -> Tensor:
    return _aligned(x, len(shape)) + _aligned(y, len(shape))


@step("Sub")
def _sub(_node: Node, shape: Shape, x: Tensor, y: Tensor) -> Tensor:
    return _aligned(x, len(shape)) - _aligned(y, len(shape))


@step("Mul")
def _mul(_node: Node, shape: Shape, x: Tensor, y: Tensor) -> Tensor:
    return _aligned(x, len(shape)) * _aligned(y, len(shape))


@step("Div")
def _div(_node: Node, shape: Shape, x: Tensor, y: Tensor) -> Tensor:
    return _aligned(x, len(shape)) / _aligned(y, len(shape))


@step("MatMul")
def _matmul(_node: Node, shape: Shape, x: Tensor, y: Tensor) -> Tensor:
    if y.dim() == 3 and len(y) == 1:
        return x @ y[0]
    left = x[:, None] if x.dim() == 2 else x
    right = y[..., None] if y.dim() == 2 else y
    rank = max(left.dim(), right.dim()) - 1
    product = _aligned(left, rank) @ _aligned(right, rank)
    return product.reshape(product.shape[0], *shape)


@step("Gemm")
def _gemm(_node: Node, _shape: Shape, x: Tensor, *parameters: Tensor) -> Tensor:
    return functional.linear(x, *(parameter[0] for parameter in parameters))


@step("Conv")
def _conv(node: Node, _shape: Shape, x: Tensor, weight: Tensor, *bias: Tensor) -> Tensor:
    top, left, bottom, right = node.ints("pads")
    even = (top, left) == (bottom, right)
    padded = x if even else functional.pad(x, (left, right, top, bottom))
    sides = (top, left) if even else 0
    offset = bias[0][0] if bias else None
    group = int(node.number("group"))
    return functional.conv2d(
        padded, weight[0], offset, node.ints("strides"), sides, node.ints("dilations"), group
    )


@step("BatchNormalization")
def _normalise(node: Node, _shape: Shape, x: Tensor, *parameters: Tensor) -> Tensor:
    scale, bias, mean, var = (parameter[0] for parameter in parameters)
    return functional.batch_norm(x, mean, var, scale, bias, eps=node.number("epsilon"))


@step("Relu")
def _relu(_node: Node, _shape: Shape, x: Tensor) -> Tensor:
    return torch.relu(x)


@step("LeakyRelu")
def _leaky_relu(node: Node, _shape: Shape, x: Tensor) -> Tensor:
    return functional.leaky_relu(x, node.number("alpha"))


@step("Clip")
def _clip(node: Node, _shape: Shape, x: Tensor) -> Tensor:
    return x.clamp(node.number("min"), node.number("max"))


@step("Gather")
def _gather(node: Node, _shape: Shape, x: Tensor) -> Tensor:
    positions = torch.tensor(node.ints("indices"), device=x.device)
    return x.index_select(int(node.number("axis")) + 1, positions)


@step("ReduceSum")
def _reduce_sum(node: Node, _shape: Shape, x: Tensor) -> Tensor:
    return x.sum([axis + 1 for axis in node.ints("axes")])


@step("Softmax")
def _softmax(node: Node, _shape: Shape, x: Tensor) -> Tensor:
    return torch.softmax(x, int(node.number("axis")) + 1)


def _elementwise(evaluate: Evaluate) -> Step:
    return lambda node, _shape, x: evaluate(node, x)


_STEPS |= {name: _elementwise(evaluate) for name, evaluate in EVALUATE.items()}


def _covered(node: Node, shape: Shape, x: Tensor, value: float) -> Tensor:
    """Pad at the ends, or crop what no window reaches, so that the graph's windows fit exactly."""
    top, left = node.ints("pads")[:2]
    bottom, right = overhang(node, tuple(map(int, x.shape[2:])), shape[1:])
    return functional.pad(x, (left, right, top, bottom), value=value)


@step("MaxPool")
def _max_pool(node: Node, shape: Shape, x: Tensor) -> Tensor:
    sides = node.ints("pads")[:2]
    if not _fits(node, shape, x, sides):
        x, sides = _covered(node, shape, x, -torch.inf), (0, 0)
    return functional.max_pool2d(
        x, node.ints("kernel_shape"), node.ints("strides"), sides, node.ints("dilations")
    )


def _fits(node: Node, shape: Shape, x: Tensor, sides: Shape) -> bool:
    """Whether torch finds the graph's windows by itself, with equal pads at both ends."""
    kernel, strides, steps = (node.ints(key) for key in ("kernel_shape", "strides", "dilations"))
    return all(
        2 * side <= size and (int(whole) + 2 * side - step * (size - 1) - 1) // stride + 1 == windows
        for side, size, step, stride, whole, windows in zip(
            sides, kernel, steps, strides, x.shape[2:], shape[1:], strict=True
        )
    )


@step("AveragePool")
def _average_pool(node: Node, shape: Shape, x: Tensor) -> Tensor:
    padded = _covered(node, shape, x, 0.0)
    sizes = tuple(map(int, x.shape[2:]))
    sums = functional.avg_pool2d(padded, node.ints("kernel_shape"), node.ints("strides"), divisor_override=1)
    return sums / torch.from_numpy(divisors(node, sizes, shape[1:])).to(x)


@step("Reshape")
def _reshape(_node: Node, shape: Shape, x: Tensor) -> Tensor:
    return x.reshape(x.shape[0], *shape)


@step("Transpose")
def _transpose(node: Node, _shape: Shape, x: Tensor) -> Tensor:
    return x.permute(0, *(axis + 1 for axis in node.ints("perm")))


@step("Concat")
def _concat(node: Node, _shape: Shape, *parts: Tensor) -> Tensor:
    # Only constants are repeated: a trace must not take the length of its example for that of every batch.
    samples = next((part.shape[0] for part in parts if part.shape[0] != 1), 1)
    rows = [part if part.shape[0] == samples else part.expand(samples, *part.shape[1:]) for part in parts]
    return torch.cat(rows, dim=int(node.number("axis")) + 1)


@step("Pad")
def _pad(node: Node, shape: Shape, x: Tensor) -> Tensor:
    pads = node.ints("pads")
    rank = len(shape)
    pairs = [size for axis in reversed(range(rank)) for size in (pads[axis], pads[rank + axis])]
    return functional.pad(x, pairs, value=node.number("value"))
