"""The JSON of a ``torch.export`` program -> a program of ATen operators; nothing of it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from glocert.errors import InvalidGraph, ModelTooLarge, Offence
from glocert.graph.aten_lists import base
from glocert.graph.aten_operators.registry import OPERATORS
from glocert.graph.aten_program import Block, Instruction, Program, Variable
from glocert.graph.limits import Limits
from glocert.graph.pt2_archive import Malformed, unreadable
from glocert.graph.pt2_arguments import flat_names, literal, name_of, one_of, operator_of

Json = Mapping[str, Any]

_INLINED = "torch.ops.higher_order.wrap_with_set_grad_enabled"
_DEEPEST = 16


@dataclass(slots=True)
class Decoder:
    """Turns the nodes of a graph into instructions.

    Attributes:
        limits: what must not be exceeded.
        instructions: so far.
        names: of all variables, by their numbers.
    """

    limits: Limits
    instructions: list[Instruction] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def variable(self, name: str, *, is_tensor: bool) -> Variable:
        """Return a new variable.

        Raises:
            ModelTooLarge: its name is too long, or there are too many.
        """
        if not isinstance(name, str):
            raise TypeError
        if len(name) > self.limits.name:
            raise self.limits.exceeded(f"A name has {len(name)} characters", "name")
        if len(self.names) > 60 * self.limits.nodes:
            raise ModelTooLarge(f"The program has more than {60 * self.limits.nodes} values.")
        self.names.append(name)
        return Variable(len(self.names) - 1, name, is_tensor)

    def nodes(self, graph: Json, scope: dict[str, int], depth: int = 0) -> None:
        """Decode all nodes of a graph, whose inputs are in ``scope`` already."""
        if depth > _DEEPEST:
            raise ValueError
        for node in graph["nodes"]:
            if len(self.instructions) > 20 * self.limits.nodes:
                raise ModelTooLarge(f"The program has more than {20 * self.limits.nodes} instructions.")
            if node["target"] == _INLINED:
                self._inlined(node, scope, depth)
            else:
                self._node(node, scope)

    def _node(self, node: Json, scope: dict[str, int]) -> None:
        kind, overload = operator_of(node["target"])
        where = f"{node.get('name') or f'node {len(self.instructions)}'} ({kind})"
        if len(where) > self.limits.name:
            raise self.limits.exceeded(f"A name has {len(where)} characters", "name")
        names, arguments = self._arguments(node, kind, overload, where)
        inputs = tuple(self.argument(argument, scope, where) for argument in arguments)
        outputs, parts = self._outputs(node, scope, where)
        self.instructions.append(Instruction(where, kind, inputs, outputs, (), None, overload, names))
        for whole, entries in parts:
            self.instructions.append(Instruction(where, "prim::ListUnpack", (whole.number,), entries))

    def _arguments(
        self, node: Json, kind: str, overload: str, where: str
    ) -> tuple[tuple[str, ...], list[Any]]:
        """Return the arguments in the order of the operator's schema, with the defaults that it has."""
        given = [(argument["name"], argument["arg"]) for argument in node["inputs"]]
        if node["target"].startswith("_operator."):
            return (), [argument for _, argument in given]
        if base(kind) not in OPERATORS or not node["target"].startswith("torch.ops.aten."):
            return (), [argument for _, argument in given if one_of(argument)[0] == "as_tensor"]
        name = node["target"].split(".")[3]
        try:
            schema = torch._C._get_schema(f"aten::{name}", overload)
        except RuntimeError:
            detail = f"there is no operator {node['target']}"
            raise InvalidGraph(f"{where}: {detail}.", [Offence(where, detail, kind)]) from None
        named = dict(given)
        order = [argument.name for argument in schema.arguments]
        if len(named) < len(given) or not set(named) <= set(order):
            raise ValueError
        arguments = []
        for argument in schema.arguments:
            if argument.name in named:
                arguments.append(named[argument.name])
            elif argument.has_default_value():
                arguments.append({"default": argument.default_value})
            else:
                raise ValueError
        return tuple(order), arguments

    def argument(self, argument: Any, scope: Mapping[str, int], where: str) -> int:
        """Return the variable that holds an argument; literals get one of their own."""
        kind, value = one_of(argument)
        if kind == "as_tensor":
            return _defined(value["name"], scope, where)
        if kind == "as_sym_int" and "as_name" in value:
            return _defined(value["as_name"], scope, where)
        if kind in {"as_tensors", "as_sym_ints", "as_optional_tensors"}:
            return self._listed(kind, value, scope, where)
        if kind == "as_optional_tensor":
            return self.argument(value, scope, where)
        return self._literal(literal(kind, value), where)

    def _listed(self, kind: str, entries: Sequence[Any], scope: Mapping[str, int], where: str) -> int:
        wrap = {"as_tensors": "as_tensor", "as_sym_ints": "as_sym_int"}.get(kind)
        numbers = [self.argument({wrap: entry} if wrap else entry, scope, where) for entry in entries]
        result = self.variable("list", is_tensor=False)
        self.instructions.append(Instruction(where, "prim::ListConstruct", tuple(numbers), (result,)))
        return result.number

    def _literal(self, value: Any, where: str) -> int:
        result = self.variable("constant", is_tensor=False)
        self.instructions.append(Instruction(where, "prim::Constant", (), (result,), (), value))
        return result.number

    def _outputs(
        self, node: Json, scope: dict[str, int], where: str
    ) -> tuple[tuple[Variable, ...], list[tuple[Variable, tuple[Variable, ...]]]]:
        """Name what a node makes; a list of tensors is taken apart behind it."""
        outputs, parts = [], []
        for output in node["outputs"]:
            kind, value = one_of(output)
            if kind == "as_tensors":
                whole = self.variable("list", is_tensor=False)
                entries = tuple(self._named(entry["name"], scope, where, is_tensor=True) for entry in value)
                outputs.append(whole)
                parts.append((whole, entries))
            elif kind == "as_tensor":
                outputs.append(self._named(value["name"], scope, where, is_tensor=True))
            elif kind in {"as_sym_int", "as_sym_bool", "as_sym_float"}:
                outputs.append(self._named(value["as_name"], scope, where, is_tensor=False))
            elif kind == "as_none":
                outputs.append(self.variable("nothing", is_tensor=False))
            else:
                raise ValueError
        return tuple(outputs), parts

    def _named(self, name: str, scope: dict[str, int], where: str, *, is_tensor: bool) -> Variable:
        if name in scope:
            detail = f"the name {name!r} is given twice"
            raise InvalidGraph(f"{where}: {detail}.", [Offence(where, detail)])
        result = self.variable(name, is_tensor=is_tensor)
        scope[name] = result.number
        return result

    def _inlined(self, node: Json, scope: dict[str, int], depth: int) -> None:
        """Decode a part for which only the recording of gradients was switched."""
        where = str(node.get("name"))
        arguments = [one_of(argument["arg"]) for argument in node["inputs"]]
        graphs = [value["graph"] for kind, value in arguments if kind == "as_graph"]
        values = [{kind: value} for kind, value in arguments if kind not in {"as_graph", "as_bool"}]
        graph = graphs[0]
        inner: dict[str, int] = {}
        for entry, value in zip(graph["inputs"], values, strict=True):
            inner[name_of(entry)] = self.argument(value, scope, where)
        self.nodes(graph, inner, depth + 1)
        made = [name_of(output) for output in graph["outputs"]]
        for name, output in zip(made, flat_names(node["outputs"]), strict=True):
            if output in scope:
                raise ValueError
            scope[output] = _defined(name, inner, where)


def _defined(name: Any, scope: Mapping[str, int], where: str) -> int:
    if not isinstance(name, str):
        raise TypeError
    if name not in scope:
        detail = f"it reads {name!r}, which nothing before it makes"
        raise InvalidGraph(f"{where}: {detail}.", [Offence(where, detail)])
    return scope[name]


def decode(
    graph: Json, inputs: Sequence[tuple[str, bool]], entry: str, result: str, limits: Limits
) -> tuple[Program, dict[str, int], list[str]]:
    """Return the program, the numbers of its inputs by name, and the names of all variables.

    Args:
        graph: the JSON of a graph.
        inputs: name of every input, and whether it is a tensor.
        entry: which of them varies.
        result: which tensor is returned.
        limits: what must not be exceeded.

    Raises:
        InvalidGraph: a name is read before it is made, or made twice.
        ModelTooLarge: too many instructions.
        UnreadableModel: the JSON does not follow the format.
    """
    decoder = Decoder(limits)
    scope: dict[str, int] = {}
    try:
        variables = {name: decoder.variable(name, is_tensor=tensor) for name, tensor in inputs}
        if len(variables) < len(inputs):
            raise ValueError
        scope |= {name: variable.number for name, variable in variables.items()}
        bound = dict(scope)
        decoder.nodes(graph, scope)
        returned = _defined(result, scope, "output")
    except (*Malformed, RecursionError):
        raise unreadable() from None
    body = Block(tuple(decoder.instructions), (returned,))
    return Program(variables[entry], body, result), bound, decoder.names
