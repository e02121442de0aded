"""Functions that a model defines, put in the places where they are called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx
from onnx import inliner

from glocert.errors import InvalidGraph, ModelTooLarge, Offence, UnsupportedOperators
from glocert.graph.limits import Limits

_Key = tuple[str, str, str]
_DEFAULT = ("", "ai.onnx")
_DEEPEST = 100


def inlined(model: onnx.ModelProto, limits: Limits) -> onnx.ModelProto:
    """Return the model without functions of its own; the same object where it has none.

    Raises:
        InvalidGraph: two functions of one name or of a standard domain, or one that cannot be put in place.
        UnsupportedOperators: a function calls itself, or needs another opset than the model.
        ModelTooLarge: more nodes than the limit would come of it.
    """
    if not model.functions:
        return model
    functions = {_key(function): function for function in model.functions}
    if len(functions) < len(model.functions):
        raise InvalidGraph("A function of the model is defined twice.")
    if any(domain in _DEFAULT for domain, _, _ in functions):
        raise InvalidGraph("A function of the model takes the name of a standard operator.")
    _check_opsets(model, functions.values())
    sizes = _sizes(functions)
    total = _expanded(model.graph.node, sizes)
    if total > limits.nodes:
        raise limits.exceeded(f"The graph has {total} nodes once its functions are in place", "nodes")
    try:
        result = inliner.inline_local_functions(model)
    except Exception as failure:
        raise InvalidGraph("The functions of the model cannot be put in place.") from failure
    if result.functions:
        raise InvalidGraph("The functions of the model cannot be put in place.")
    return result


def _key(function: onnx.FunctionProto) -> _Key:
    return function.domain, function.name, function.overload


def _check_opsets(model: onnx.ModelProto, functions: Iterable[onnx.FunctionProto]) -> None:
    own = {entry.domain: entry.version for entry in model.opset_import}
    standard = next((own[domain] for domain in _DEFAULT if domain in own), 0)
    offences = [
        Offence(
            f"function {function.name}",
            f"it is written for opset {entry.version}, the model for opset {standard}",
            way_out="Export with one opset throughout.",
        )
        for function in functions
        for entry in function.opset_import
        if entry.domain in _DEFAULT and entry.version != standard
    ]
    if offences:
        raise UnsupportedOperators("A function of the model needs another opset.", offences)


def _sizes(functions: dict[_Key, onnx.FunctionProto]) -> dict[_Key, int]:
    """Count the nodes that a call of each function becomes, innermost functions first.

    Raises:
        UnsupportedOperators: functions call each other in a circle.
        ModelTooLarge: they call each other too deep for what puts them in place.
    """
    callees = {
        key: {_called(node) for node in nodes(function.node)} & functions.keys()
        for key, function in functions.items()
    }
    sizes: dict[_Key, int] = {}
    waiting, depth = set(functions), 0
    while waiting:
        if (depth := depth + 1) > _DEEPEST:
            raise ModelTooLarge(f"The functions of the model call each other more than {_DEEPEST} deep.")
        ready = [key for key in waiting if callees[key] <= sizes.keys()]
        if not ready:
            offences = [
                Offence(f"function {name}", "it calls itself", way_out="Export without recursion.")
                for _, name, _ in sorted(waiting)
            ]
            raise UnsupportedOperators("A function of the model is recursive.", offences)
        sizes |= {key: _expanded(functions[key].node, sizes) for key in ready}
        waiting -= set(ready)
    return sizes


def _called(node: onnx.NodeProto) -> _Key:
    return node.domain, node.op_type, node.overload


def _expanded(body: Iterable[onnx.NodeProto], sizes: dict[_Key, int]) -> int:
    return sum(sizes.get(_called(node), 1) for node in nodes(body))


def nodes(body: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Yield every node, those of subgraphs included."""
    stack = list(body)
    while stack:
        node = stack.pop()
        yield node
        for attribute in node.attribute:
            stack += attribute.g.node
            for graph in attribute.graphs:
                stack += graph.node
