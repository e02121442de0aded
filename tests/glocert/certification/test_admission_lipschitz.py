"""What a model resource says of the Lipschitz method is what the method does."""

from __future__ import annotations

import pytest

from glocert.certification.admission import admission
from glocert.errors import UnsupportedOperators
from glocert.graph.builder import GraphBuilder
from glocert.graph.ir import Graph, Node
from glocert.graph.limits import Limits
from glocert.lipschitz import network
from glocert.lipschitz.heads import scored


def graph_of(*operators: str, outputs: int = 3) -> Graph:
    builder = GraphBuilder.start("x", (outputs,), Limits())
    name = builder.input
    for place, operator in enumerate(operators):
        inputs = (name, name) if operator == "Mul" else (name,)
        attributes = {"axis": 0} if operator == "Softmax" else {}
        name = builder.add(Node(f"n{place}", operator, inputs, f"t{place}", attributes, operator))
    return builder.finish(name)


@pytest.mark.parametrize("operators", [("Relu",), ("Tanh", "Relu"), ("Relu", "Softmax"), ("Exp",)])
def test_it_admits_what_the_method_takes(operators: tuple[str, ...]) -> None:
    graph = graph_of(*operators)
    network.bound(scored(graph)[0])
    found = admission(graph)["methods"]["lipschitz"]
    assert (found["admitted"], found["nodes"]) == ("yes", [])


@pytest.mark.parametrize("operators", [("Mul",), ("Relu", "Exp", "Relu"), ("Exp", "Mul", "Relu")])
def test_it_refuses_the_nodes_that_the_method_refuses(operators: tuple[str, ...]) -> None:
    graph = graph_of(*operators)
    with pytest.raises(UnsupportedOperators) as refused:
        network.bound(scored(graph)[0])
    found = admission(graph)["methods"]["lipschitz"]
    assert found["admitted"] == "no"
    assert [node["where"] for node in found["nodes"]] == [one.where for one in refused.value.offences]
    assert found["because"].startswith("no Lipschitz constant is known for")


def test_one_output_has_no_scores_to_compare() -> None:
    found = admission(graph_of("Relu", outputs=1))["methods"]["lipschitz"]
    assert (found["admitted"], found["nodes"]) == ("no", [])


def test_no_norm_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a norm was computed")

    monkeypatch.setattr(network, "affine_norm", refuse)
    assert admission(graph_of("Relu", "Tanh"))["methods"]["lipschitz"]["admitted"] == "yes"
