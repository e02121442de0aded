"""An inlined TorchScript graph as plain data, decoded once and read as often as needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from glocert.errors import InvalidGraph, ModelTooLarge
from glocert.graph.limits import Limits
from glocert.graph.values import Constant, Unsupported


@dataclass(frozen=True, slots=True)
class Variable:
    """A name that is assigned once.

    Attributes:
        number: unique in the graph.
        name: as TorchScript shows it.
        is_tensor: whether it holds a tensor.
    """

    number: int
    name: str
    is_tensor: bool


@dataclass(frozen=True, slots=True)
class Instruction:
    """One node.

    Attributes:
        where: name for messages; the file's own source lines are private and left out.
        kind: operator, e.g. ``aten::linear``.
        inputs: numbers of the variables that it reads.
        outputs: variables that it assigns.
        blocks: the branches of an If, the body of a Loop.
        literal: value of a constant, or name of an attribute.
    """

    where: str
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[Variable, ...]
    blocks: tuple[Block, ...]
    literal: Any = None


@dataclass(frozen=True, slots=True)
class Block:
    """Instructions and the variables that they hand back."""

    instructions: tuple[Instruction, ...]
    returns: tuple[int, ...]

    def everything(self) -> Iterator[Instruction]:
        """Yield all instructions, those of branches too."""
        for instruction in self.instructions:
            yield instruction
            for block in instruction.blocks:
                yield from block.everything()


@dataclass(frozen=True, slots=True)
class Program:
    """A whole graph of one module, one tensor in and one out.

    Attributes:
        owner: number of the variable that holds the module.
        entry: the input.
        body: the instructions.
        result: name of the returned variable.
    """

    owner: int
    entry: Variable
    body: Block
    result: str


def decode(graph: Any, limits: Limits) -> Program:
    """Copy a checked graph.

    Raises:
        ModelTooLarge: more instructions than twenty per node allowed, or a name that is too long.
        InvalidGraph: branches nested too deeply.
    """
    owner, entry = list(graph.inputs())
    try:
        body = _block(graph, [0], limits)
    except RecursionError:
        raise InvalidGraph("The TorchScript code is nested too deeply.") from None
    returned = next(iter(graph.outputs()))
    return Program(owner.unique(), _variable(entry, limits), body, returned.debugName())


def _block(block: Any, counter: list[int], limits: Limits) -> Block:
    instructions = tuple(_instruction(node, counter, limits) for node in block.nodes())
    return Block(instructions, tuple(value.unique() for value in block.outputs()))


def _instruction(node: Any, counter: list[int], limits: Limits) -> Instruction:
    counter[0] += 1
    if counter[0] > 20 * limits.nodes:
        raise ModelTooLarge(f"The TorchScript code has more than {20 * limits.nodes} instructions.")
    where = f"node {counter[0]} ({node.kind()})"
    return Instruction(
        where,
        node.kind(),
        tuple(value.unique() for value in node.inputs()),
        tuple(_variable(value, limits) for value in node.outputs()),
        tuple(_block(block, counter, limits) for block in node.blocks()),
        _literal(node),
    )


def _variable(value: Any, limits: Limits) -> Variable:
    name = value.debugName()
    if len(name) > limits.name:
        raise ModelTooLarge(f"A name has {len(name)} characters, more than {limits.name}.")
    return Variable(value.unique(), name, value.type().kind() in {"TensorType", "OptionalType"})


def _literal(node: Any) -> Any:
    if node.kind() == "prim::GetAttr":
        return node.s("name")
    if node.kind() != "prim::Constant" or node.output().type().kind() == "FunctionType":
        return None
    value = node.output().toIValue()
    return tensor_constant(value, node.output().debugName()) if isinstance(value, torch.Tensor) else value


def tensor_constant(tensor: torch.Tensor, name: str) -> Constant:
    """Return a stored tensor as a constant.

    Raises:
        Unsupported: it is sparse, quantised, in half precision or complex.
    """
    kinds = {torch.float32, torch.float64, torch.int64, torch.int32, torch.uint8, torch.int8, torch.bool}
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.dtype not in kinds:
        raise Unsupported(f"the tensor {name!r} is of a kind that is not supported ({tensor.dtype})")
    return Constant(np.ascontiguousarray(tensor.detach().numpy()).reshape(tensor.shape), name)
