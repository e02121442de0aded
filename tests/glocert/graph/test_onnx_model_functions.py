"""Functions that an ONNX model defines are put in place, or refused before anything grows."""

from __future__ import annotations

import onnx
import pytest
from onnx import AttributeProto, helper

from glocert.errors import InvalidGraph, ModelTooLarge, UnsupportedOperators
from tests.glocert.graph.exactly import compared
from tests.glocert.graph.importing import imported, refusal
from tests.glocert.graph.onnx_models import model, node, weights

STANDARD, OWN = helper.make_opsetid("", 17), helper.make_opsetid("my", 1)


def _function(name: str, *nodes: onnx.NodeProto, domain: str = "my", opset: int = 17) -> onnx.FunctionProto:
    return helper.make_function(domain, name, ["a"], ["b"], nodes, [helper.make_opsetid("", opset), OWN])


def _call(name: str, x: str, y: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(name, [x], [y], domain="my", **attributes)


TWICE = _function("Twice", helper.make_node("Add", ["a", "a"], ["t"]), helper.make_node("Relu", ["t"], ["b"]))


def _model(first: onnx.NodeProto, *functions: onnx.FunctionProto) -> onnx.ModelProto:
    proto = model([first, node("Gemm", ["h", "W"], "y")], {"W": weights(4, 3)})
    proto.functions.extend(functions)
    proto.opset_import.append(OWN)
    return proto


def test_functions_within_functions_and_their_attributes() -> None:
    outer = _function(
        "Outer",
        _call("Twice", "a", "t"),
        helper.make_node("LeakyRelu", ["t"], ["u"]),
        _call("Twice", "u", "b"),
    )
    outer.attribute.append("alpha")
    outer.node[1].attribute.add(name="alpha", ref_attr_name="alpha", type=AttributeProto.FLOAT)
    proto = _model(_call("Outer", "x", "h", alpha=0.3), outer, TWICE)
    result = compared(proto)
    assert result is not None
    assert result.graph.operators == {"Add": 2, "Gemm": 1, "LeakyRelu": 1, "Relu": 2}
    assert imported(proto).graph.digest() == result.graph.digest()


def test_what_is_inside_a_function_is_refused_by_name() -> None:
    jump = _function("Jump", helper.make_node("Floor", ["a"], ["b"], name="rounding down"))
    error = refusal(UnsupportedOperators, _model(_call("Jump", "x", "h"), jump))
    assert error.offences[0].operator == "ai.onnx::Floor"


@pytest.mark.parametrize(
    "functions",
    [
        [_function("F", _call("F", "a", "b"))],
        [_function("F", _call("G", "a", "b")), _function("G", _call("F", "a", "b"))],
    ],
)
def test_recursion_is_refused(functions: list[onnx.FunctionProto]) -> None:
    error = refusal(UnsupportedOperators, _model(_call("F", "x", "h"), *functions))
    assert {offence.detail for offence in error.offences} == {"it calls itself"}


def test_recursion_through_a_branch_is_refused() -> None:
    branch = helper.make_graph([_call("F", "a", "u")], "branch", [], [onnx.ValueInfoProto(name="u")])
    choice = helper.make_node("If", ["a"], ["b"], then_branch=branch, else_branch=branch)
    error = refusal(UnsupportedOperators, _model(_call("F", "x", "h"), _function("F", choice)))
    assert error.offences[0].detail == "it calls itself"


def test_growth_is_counted_before_it_happens() -> None:
    doubling = [TWICE]
    for step in range(60):
        inner = doubling[-1].name
        doubling.append(_function(f"D{step}", _call(inner, "a", "t"), _call(inner, "t", "b")))
    refusal(ModelTooLarge, _model(_call("D59", "x", "h"), *doubling))


def test_functions_for_another_opset_or_in_the_place_of_an_operator_are_refused() -> None:
    older = _function("Old", helper.make_node("Relu", ["a"], ["b"]), opset=13)
    error = refusal(UnsupportedOperators, _model(_call("Old", "x", "h"), older))
    assert error.offences[0].where == "function Old"
    standard = _function("Relu", helper.make_node("Neg", ["a"], ["b"]), domain="")
    refusal(InvalidGraph, _model(helper.make_node("Relu", ["x"], ["h"]), standard))
    refusal(InvalidGraph, _model(_call("Twice", "x", "h"), TWICE, TWICE))
