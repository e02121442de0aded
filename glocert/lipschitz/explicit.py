"""The matrix of an affine region, entry by entry, with a proven error.

The linear part of a region is the same nodes without what they add. Running it on the unit vectors gives
the columns of its matrix, running the adjoint on them its rows. Every entry is a sum of products along
the paths through the region, so its rounding error is at most ``gamma(n)`` times the entry of the same
region with absolute parameters, where n adds up the lengths of all sums on the way. Both runs are in
float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from glocert.graph.ir import Array, Graph, Node
from glocert.graph.run import run
from glocert.rounding import TINY, dot, grow

_ROWS = 2**24
_MOVES = frozenset({"Gather", "Pad", "Reshape", "Transpose"})
_PRODUCTS = frozenset({"Conv", "Gemm", "MatMul", "Mul"})


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """A linear map.

    Attributes:
        values: float64, shape (outputs, inputs).
        error: bound on the Frobenius norm of what rounding may have changed.
    """

    values: Tensor
    error: float


def matrix_of(region: Graph) -> Matrix:
    """Return the matrix of the linear part of a region of affine nodes.

    Raises:
        ValueError: a node is not affine.
    """
    plain, absolute = linear_part(region), linear_part(region, absolute=True)
    inputs, outputs = math.prod(region.input_shape), math.prod(region.output_shape)
    follow = _columns if inputs <= outputs else _rows
    values = follow(plain)
    if _is_copied(region):
        return Matrix(values, 0.0)
    terms = sum(roundings(region, node) for node in region.nodes)
    sizes = follow(absolute)
    entries = float(sizes.square().sum()) * grow(sizes.numel() + terms)
    lost = dot(terms) * math.sqrt(entries) * grow(8) + values.numel() * TINY
    return Matrix(values, lost)


def _is_copied(region: Graph) -> bool:
    """Whether every entry of the matrix is a stored number or zero, so that nothing is ever rounded."""
    others = [node for node in region.nodes if node.operator not in _MOVES]
    return len(others) <= 1 and all(node.operator in _PRODUCTS for node in others)


def _columns(region: Graph) -> Tensor:
    """Run a linear region on all unit vectors."""
    inputs, outputs = math.prod(region.input_shape), math.prod(region.output_shape)
    result = torch.empty(outputs, inputs, dtype=torch.float64)
    for start, units in _units(region, inputs):
        images = run(region, units.reshape(-1, *region.input_shape))
        result[:, start : start + len(units)] = images.reshape(len(images), -1).T
    return result


def _rows(region: Graph) -> Tensor:
    """Run the adjoint of a linear region on all unit vectors."""
    inputs, outputs = math.prod(region.input_shape), math.prod(region.output_shape)
    result = torch.empty(outputs, inputs, dtype=torch.float64)
    for start, units in _units(region, outputs):
        x = torch.zeros(len(units), *region.input_shape, dtype=torch.float64, requires_grad=True)
        (images,) = torch.autograd.grad(run(region, x), x, units.reshape(-1, *region.output_shape))
        result[start : start + len(units)] = images.reshape(len(units), -1)
    return result


def _units(region: Graph, count: int) -> Iterator[tuple[int, Tensor]]:
    """Yield all unit vectors of a length, a few at a time, with the position of the first."""
    widest = max(math.prod(shape) for shape in region.shapes.values())
    step = max(1, _ROWS // widest)
    for start in range(0, count, step):
        units = torch.zeros(min(step, count - start), count, dtype=torch.float64)
        units[:, start : start + step].fill_diagonal_(1.0)
        yield start, units


def roundings(region: Graph, node: Node) -> int:
    """Return how many roundings one number meets in an affine node or in its adjoint."""
    return max(sum_length(region, node), _fan_out(region, node)) + 4


def _fan_out(region: Graph, node: Node) -> int:
    """Return how many outputs of a node read one of its inputs at most."""
    if node.operator == "Conv":
        weight = region.parameters[node.inputs[1]].shape
        return int(weight[0] * math.prod(weight[2:]))
    if node.operator in {"Reshape", "Transpose", "Pad", "BatchNormalization"}:
        return 1
    return math.prod(region.shapes[node.output])


def sum_length(region: Graph, node: Node) -> int:
    """Return how many numbers one output of an affine node adds up."""
    if node.operator in {"Conv", "Gemm", "MatMul"}:
        weight = next(name for name in node.inputs if not region.is_activation(name))
        shape = region.parameters[weight].shape
        return math.prod(shape[1:]) if node.operator == "Conv" else max(shape)
    if node.operator == "AveragePool":
        return math.prod(node.ints("kernel_shape"))
    if node.operator == "ReduceSum":
        return math.prod(region.shapes[node.inputs[0]][axis] for axis in node.ints("axes"))
    return 1


def linear_part(region: Graph, *, absolute: bool = False) -> Graph:
    """Return the region without what it adds; with ``absolute``, every factor replaced by its absolute value.

    Raises:
        ValueError: a node is not affine.
    """
    parameters: dict[str, Array] = {}
    nodes = [_linear(region, node, parameters, absolute) for node in region.nodes]
    return Graph(region.input, region.output, tuple(nodes), parameters, region.shapes)


_SUMS = frozenset({"AveragePool", "Conv", "Gemm", "MatMul", "ReduceSum"})


def squared_part(region: Graph) -> Graph | None:
    """Return a network whose matrix has the squared entries of a region's matrix.

    That is the absolute linear part with squared factors, as long as every entry is a single product: there
    is at most one node that adds up, and no two activations meet. Otherwise, and for averages, ``None``.
    """
    sums = [node for node in region.nodes if node.operator in _SUMS]
    meeting = any(sum(region.is_activation(name) for name in node.inputs) > 1 for node in region.nodes)
    if len(sums) > 1 or meeting or any(node.operator == "AveragePool" for node in sums):
        return None
    absolute = linear_part(region, absolute=True)
    squares = {name: array.astype(np.float64) ** 2 for name, array in absolute.parameters.items()}
    return Graph(absolute.input, absolute.output, absolute.nodes, squares, absolute.shapes)


def _linear(region: Graph, node: Node, parameters: dict[str, Array], absolute: bool) -> Node:
    """Return the linear part of one node and store the parameters that it needs."""
    varying = [name for name in node.inputs if region.is_activation(name)]
    if node.operator in {"Add", "Sub"}:
        return _sum(region, node, varying, parameters, absolute)
    if node.operator == "BatchNormalization":
        return _scale(region, node, parameters, absolute)
    if node.operator == "Concat":
        return _without_constants(region, node, varying, parameters)
    if node.operator == "Pad":
        return _with(node, attributes={**node.attributes, "value": 0.0})
    if node.operator in {"Gemm", "Conv"}:
        return _store(region, _with(node, inputs=node.inputs[:2]), parameters, absolute)
    if node.operator in {"Mul", "Div", "MatMul"} and len(varying) == 1:
        return _store(region, node, parameters, absolute)
    if node.operator in {"AveragePool", "Reshape", "Transpose", "Gather", "ReduceSum"}:
        return node
    raise ValueError(f"{node.operator} is not affine")


def _sum(region: Graph, node: Node, varying: list[str], parameters: dict[str, Array], absolute: bool) -> Node:
    """A sum of two activations stays; a constant summand becomes zero, negated operands keep their sign."""
    rest = _without_constants(region, node, varying, parameters)
    return _with(rest, operator="Add") if absolute else rest


def _without_constants(region: Graph, node: Node, varying: list[str], parameters: dict[str, Array]) -> Node:
    """Put zeros in the place of constants, under names of their own: a factor may be the same parameter."""
    inputs = list(node.inputs)
    for place, name in enumerate(node.inputs):
        if name not in varying:
            inputs[place] = _fresh(region, f"{name}/zero")
            parameters[inputs[place]] = np.zeros_like(region.parameters[name])
    return _with(node, inputs=tuple(inputs))


def _scale(region: Graph, node: Node, parameters: dict[str, Array], absolute: bool) -> Node:
    """A normalisation is a factor per channel; its three roundings are among those that are charged."""
    scale, _, _, variance = (region.parameters[name].astype(np.float64) for name in node.inputs[1:])
    factor = scale / np.sqrt(variance + node.number("epsilon"))
    rank = len(region.shapes[node.output])
    name = _fresh(region, f"{node.output}/factor")
    parameters[name] = (np.abs(factor) if absolute else factor).reshape(-1, *[1] * (rank - 1))
    return _with(node, operator="Mul", inputs=(node.inputs[0], name), attributes={})


def _fresh(region: Graph, name: str) -> str:
    """Return the name with primes, as many as nothing of the region has: uploads choose their names."""
    while name in region.parameters or name in region.shapes:
        name += "'"
    return name


def _store(region: Graph, node: Node, parameters: dict[str, Array], absolute: bool) -> Node:
    for name in node.inputs:
        if not region.is_activation(name):
            array = region.parameters[name]
            parameters[name] = np.abs(array) if absolute else array
    return node


def _with(node: Node, **changes: object) -> Node:
    from dataclasses import replace

    return replace(node, **changes)  # type: ignore[arg-type]
