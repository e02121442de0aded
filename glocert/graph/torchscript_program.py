"""An inlined TorchScript graph as plain data, decoded once and read as often as needed."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch

from glocert.errors import InvalidGraph
from glocert.graph.aten_program import Block, Instruction, Program, Variable, tensor_constant
from glocert.graph.limits import Limits


def decode(graph: Any, limits: Limits, choice: int | None = None) -> Program:
    """Copy a checked graph, of whose returned tuple ``choice`` is wanted.

    Raises:
        ModelTooLarge: more instructions than twenty per node allowed, or a name that is too long.
        InvalidGraph: branches nested too deeply.
    """
    owner, entry = list(graph.inputs())
    try:
        body = _block(graph, [0], limits)
    except RecursionError:
        raise InvalidGraph("The TorchScript code is nested too deeply.") from None
    name = next(iter(graph.outputs())).debugName()
    result = name if choice is None else f"{name}.{choice}"
    branches = any(instruction.kind == "prim::If" for instruction in body.everything())
    return Program(_variable(entry, limits), body, result, choice, owner.unique(), branches)


def _block(block: Any, counter: list[int], limits: Limits) -> Block:
    instructions = tuple(_instruction(node, counter, limits) for node in block.nodes())
    returns, parameters = (
        tuple(value.unique() for value in values) for values in (block.outputs(), block.inputs())
    )
    return Block(instructions, returns, parameters)


def _instruction(node: Any, counter: list[int], limits: Limits) -> Instruction:
    counter[0] += 1
    if counter[0] > 20 * limits.nodes:
        raise limits.exceeded(
            f"The TorchScript code has over {20 * limits.nodes} instructions, 20 for each node", "nodes"
        )
    overload, names = _signature(node.schema()) if node.kind().startswith("aten::") else ("", ())
    return Instruction(
        f"node {counter[0]} ({node.kind()})",
        node.kind(),
        tuple(value.unique() for value in node.inputs()),
        tuple(_variable(value, limits) for value in node.outputs()),
        tuple(_block(block, counter, limits) for block in node.blocks()),
        _literal(node),
        overload,
        names,
    )


@lru_cache(maxsize=1000)
def _signature(schema: str) -> tuple[str, tuple[str, ...]]:
    """Return the overload and the names of the arguments; nothing of it comes from the file."""
    try:
        parsed = torch._C.parse_schema(schema)
    except RuntimeError:
        return "", ()
    return parsed.overload_name, tuple(argument.name for argument in parsed.arguments)


def _variable(value: Any, limits: Limits) -> Variable:
    name = value.debugName()
    if len(name) > limits.name:
        raise limits.exceeded(f"A name has {len(name)} characters", "name")
    return Variable(value.unique(), name, value.type().kind() in {"TensorType", "OptionalType"})


def _literal(node: Any) -> Any:
    if node.kind() == "prim::GetAttr":
        return node.s("name")
    if node.kind() != "prim::Constant" or node.output().type().kind() == "FunctionType":
        return None
    value = node.output().toIValue()
    return tensor_constant(value, node.output().debugName()) if isinstance(value, torch.Tensor) else value
