"""Runs a ``torch.export`` program from its JSON, to compare the import with; only operators on the list run.

It shares nothing with the lowering: every node is handed to PyTorch as the file says, with the weights of
the file.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch

from glocert.graph.aten_lists import SILENT, base
from glocert.graph.aten_operators.registry import OPERATORS
from glocert.graph.compare import Batch as Rows
from glocert.graph.compare import Original, OriginalFailed
from glocert.graph.pt2_archive import Malformed
from glocert.graph.values import Constant

RUNTIME = f"torch.ops {torch.__version__}"
_NUMBERS: Mapping[str, Callable[..., Any]] = {
    "add": operator.add,
    "eq": operator.eq,
    "floordiv": operator.floordiv,
    "ge": operator.ge,
    "gt": operator.gt,
    "le": operator.le,
    "lt": operator.lt,
    "mod": operator.mod,
    "mul": operator.mul,
    "ne": operator.ne,
    "neg": operator.neg,
    "sub": operator.sub,
    "truediv": operator.truediv,
}
_TYPES = {
    1: torch.uint8,
    2: torch.int8,
    3: torch.int16,
    4: torch.int32,
    5: torch.int64,
    7: torch.float32,
    8: torch.float64,
    12: torch.bool,
}
_FORMATS = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}
_INFINITIES = {"Infinity": torch.inf, "-Infinity": -torch.inf, "NaN": torch.nan}
_Values = dict[str, Any]
_Json = Mapping[str, Any]


def original(
    graph: Mapping[str, Any], weights: Mapping[str, Constant | None], entry: str, output: str
) -> Original:
    """Return a function that runs a program up to one of its tensors.

    Args:
        graph: the JSON of its graph, which was imported without a refusal.
        weights: name of an input -> tensor; None for one that is no tensor.
        entry: the input that varies.
        output: name of the tensor that is wanted.
    """
    tensors = {
        name: None if weight is None else torch.from_numpy(weight.array.copy())
        for name, weight in weights.items()
    }

    def compute(x: Rows) -> Rows:
        values: _Values = {name: None if kept is None else kept.clone() for name, kept in tensors.items()}
        values[entry] = torch.from_numpy(x.copy())
        try:
            with torch.no_grad():
                _run(graph, values)
            result: torch.Tensor = values[output]
            return result.numpy()
        except (RuntimeError, NotImplementedError, *Malformed) as failure:
            raise OriginalFailed("it raises an error when it is run") from failure

    return compute


def _run(graph: Mapping[str, Any], values: _Values) -> None:
    for node in graph["nodes"]:
        positional: list[Any] = []
        named: _Values = {}
        inner = None
        for argument in node["inputs"]:
            if "as_graph" in argument["arg"]:
                inner = argument["arg"]["as_graph"]["graph"]
            elif argument.get("kind") == 2:
                named[argument["name"]] = _value(argument["arg"], values)
            else:
                positional.append(_value(argument["arg"], values))
        if inner is not None:
            _run_inner(inner, positional[1:], node, values)
            continue
        _store(node["outputs"], _function(node["target"])(*positional, **named), values)


def _run_inner(
    graph: Mapping[str, Any], arguments: list[Any], node: Mapping[str, Any], values: _Values
) -> None:
    names = [entry["as_tensor"]["name"] for entry in graph["inputs"]]
    inside: _Values = dict(zip(names, arguments, strict=True))
    _run(graph, inside)
    made = [inside[output["as_tensor"]["name"]] for output in graph["outputs"]]
    outputs = node["outputs"]
    listed = len(outputs) == 1 and "as_tensors" in outputs[0]
    _store(outputs, made if listed or len(outputs) > 1 else made[0], values)


def _function(target: str) -> Callable[..., Any]:
    """Return what a target means, if it is on the list.

    Raises:
        ValueError: it is not.
    """
    parts = target.split(".")
    if parts[0] == "_operator" and len(parts) == 2:
        return _NUMBERS[parts[1]]
    if parts[:3] != ["torch", "ops", "aten"] or len(parts) != 5:
        raise ValueError
    kind = f"aten::{parts[3]}"
    if base(kind) not in OPERATORS and kind not in SILENT and kind != "aten::sym_size":
        raise ValueError
    function: Callable[..., Any] = getattr(getattr(torch.ops.aten, parts[3]), parts[4])
    return function


def _store(outputs: list[Any], result: Any, values: _Values) -> None:
    """Name what a node made."""
    results = [result] if len(outputs) == 1 else result or []
    for output, made in zip(outputs, results, strict=True):
        for kind, value in output.items():
            if kind == "as_tensors":
                values |= {entry["name"]: part for entry, part in zip(value, made, strict=True)}
            elif value is not None and kind != "as_none":
                values[value.get("name") or value["as_name"]] = made


def _value(argument: Mapping[str, Any], values: _Values) -> Any:
    """Return what PyTorch takes for an argument."""
    (kind, value) = next((kind, value) for kind, value in argument.items() if value is not None)
    if kind in {"as_tensor", "as_sym_int"}:
        return value["as_int"] if "as_int" in value else values[value.get("name") or value["as_name"]]
    if kind in {"as_tensors", "as_sym_ints"}:
        single = kind.removesuffix("s")
        return [_value({single: entry}, values) for entry in value]
    if kind == "as_optional_tensors":
        return [_value(entry, values) for entry in value]
    if kind == "as_optional_tensor":
        return _value(value, values)
    return _literal(kind, value)


def _literal(kind: str, value: Any) -> Any:
    if kind in {"as_none", "as_device"}:
        return None
    if kind == "as_float":
        return _INFINITIES.get(value, value)
    if kind == "as_scalar_type":
        return _TYPES[value]
    if kind == "as_memory_format":
        return _FORMATS[value]
    if kind == "as_layout":
        return torch.strided
    return value
