"""What a model resource says of the Lipschitz method is what the method does."""

from __future__ import annotations

from pathlib import Path

import pytest

from glocert.certification.admission import admission
from glocert.errors import UnsupportedOperators
from glocert.graph.builder import GraphBuilder
from glocert.graph.ir import Graph, Node
from glocert.graph.limits import Limits
from glocert.lipschitz import network
from glocert.lipschitz.heads import scored

ROOT = Path(__file__).parents[3]


def graph_of(*operators: str, outputs: int = 3) -> Graph:
    builder = GraphBuilder.start("x", (outputs,), Limits())
    name = builder.input
    for place, operator in enumerate(operators):
        inputs = (name, name) if operator == "Mul" else (name,)
        attributes = {"axis": 0} if operator == "Softmax" else {}
        name = builder.add(Node(f"n{place}", operator, inputs, f"t{place}", attributes, operator))
    return builder.finish(name)


@pytest.mark.parametrize(
    "operators",
    [("Relu",), ("Tanh", "Relu"), ("Mul",), ("Relu", "Exp", "Relu"), ("Relu", "Softmax"), ("Exp",)],
)
def test_it_admits_exactly_what_the_method_takes(operators: tuple[str, ...]) -> None:
    graph = graph_of(*operators)
    found = admission(graph)["methods"]["lipschitz"]
    try:
        network.bound(scored(graph)[0])
    except UnsupportedOperators as error:
        assert found["admitted"] == "no"
        assert [node["where"] for node in found["nodes"]] == [offence.where for offence in error.offences]
        assert found["because"].startswith("no Lipschitz constant is known for")
    else:
        assert (found["admitted"], found["nodes"]) == ("yes", [])


def test_one_output_has_no_scores_to_compare() -> None:
    found = admission(graph_of("Relu", outputs=1))["methods"]["lipschitz"]
    assert (found["admitted"], found["nodes"]) == ("no", [])


def test_no_norm_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a norm was computed")

    monkeypatch.setattr(network, "affine_norm", refuse)
    assert admission(graph_of("Relu", "Tanh"))["methods"]["lipschitz"]["admitted"] == "yes"
