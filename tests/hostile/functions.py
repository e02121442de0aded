"""Model functions that do not end, or end too late."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import helper

from tests.glocert.graph.onnx_models import model, node
from tests.hostile.registry import hostile

_OURS = "ours"
_OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid(_OURS, 1)]


def _function(name: str, calls: Sequence[str]) -> onnx.FunctionProto:
    """Return a function from ``a`` that calls others one after the other; "" is a Relu."""
    names = ["a", *(f"v{place}" for place in range(len(calls)))]
    body = [
        helper.make_node(call or "Relu", [names[place]], [names[place + 1]], domain=_OURS if call else "")
        for place, call in enumerate(calls)
    ]
    return helper.make_function(_OURS, name, ["a"], [names[-1]], body, _OPSETS)


def _calling(name: str, functions: Sequence[onnx.FunctionProto]) -> bytes:
    made = model([node(name, ["x"], "y", domain=_OURS)])
    made.opset_import.append(_OPSETS[1])
    made.functions.extend(functions)
    return bytes(made.SerializeToString())


@hostile("function-itself.onnx")
def itself() -> bytes:
    """A function that calls itself."""
    return _calling("f", [_function("f", ["f"])])


@hostile("function-circle.onnx")
def circle() -> bytes:
    """Two functions that call each other."""
    return _calling("f", [_function("f", ["g"]), _function("g", ["f"])])


@hostile("function-doubling.onnx")
def doubling() -> bytes:
    """Forty functions that each call the one before twice: 2^40 nodes."""
    functions = [_function("f0", ["", ""]), *(_function(f"f{n}", [f"f{n - 1}"] * 2) for n in range(1, 40))]
    return _calling("f39", functions)


@hostile("function-deep.onnx")
def deep() -> bytes:
    """Ten thousand functions that each call the one before."""
    functions = [_function("f0", [""]), *(_function(f"f{n}", [f"f{n - 1}"]) for n in range(1, 10_000))]
    return _calling("f9999", functions)


@hostile("function-twice.onnx")
def twice() -> bytes:
    """Two functions of one name that do different things."""
    return _calling("f", [_function("f", [""]), _function("f", ["", ""])])


@hostile("function-shadow.onnx")
def shadow() -> bytes:
    """A function that is called Relu, in the domain of the standard, and is none."""
    made = model([node("Relu", ["x"], "y")])
    body = [helper.make_node("Neg", ["a"], ["b"])]
    made.functions.append(helper.make_function("", "Relu", ["a"], ["b"], body, _OPSETS[:1]))
    return bytes(made.SerializeToString())


@hostile("function-missing.onnx")
def missing() -> bytes:
    """A call of a function that is not there."""
    return _calling("g", [_function("f", [""])])
