from __future__ import annotations

import numpy as np
import pytest

from glocert import engine
from glocert.graph.ir import Graph
from glocert.spec import Verdict
from tests.glocert.segments.networks import Draft, line


def network(operator: str) -> Graph:
    """Scores f(x) and 0 for x in [0.25, 1]."""
    draft = Draft(1)
    both = draft.gemm(draft.same(operator, "x"), np.array([[1.0], [0.0]]))
    return draft.graph(both)


@pytest.mark.parametrize(("operator", "family"), [("Relu", "exact"), ("Tanh", "enclosure")])
def test_each_network_goes_to_the_domain_of_its_family(operator, family):
    program = engine.prepare(network(operator))
    assert program.exact == (family == "exact")
    report = engine.certify(program, line([0.25], [1.0]), 0)
    assert (report.verdict, report.family) == (Verdict.CERTIFIED, family)
    report = engine.certify(program, line([0.25], [1.0]), 1, margin=0.5)
    assert (report.verdict, report.family) == (Verdict.FALSIFIED, family)


def test_a_product_of_two_activations_is_enclosed():
    draft = Draft(2)
    square = draft.node("Mul", ["x", "x"], [2])
    program = engine.prepare(draft.graph(square))
    assert engine.certify(program, line([2.0, 1.0], [-2.0, 1.5]), 0).verdict is Verdict.FALSIFIED
    assert engine.certify(program, line([2.0, 1.0], [3.0, 1.5]), 0).verdict is Verdict.CERTIFIED
