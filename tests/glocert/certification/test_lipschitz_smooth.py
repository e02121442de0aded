"""Networks with smooth functions: scores with known errors, radii in real arithmetic only."""

from __future__ import annotations

import math
from collections.abc import Sequence

import mpmath
import numpy as np
import pytest
import torch

from glocert.certification.case import load
from glocert.certification.lipschitz import run
from glocert.certification.lipschitz_analysis import analyse
from glocert.certification.lipschitz_smooth import enclosed_scores
from glocert.graph.builder import GraphBuilder
from glocert.graph.ir import Graph, Node
from glocert.graph.limits import Limits
from glocert.lipschitz.execution import ledger
from glocert.rounding import UNIT
from glocert.spec_lipschitz import Execution, LipschitzSpec
from tests.glocert.certification.conftest import MakeCase

FUNCTIONS = {
    "Sigmoid": lambda v: 1 / (1 + mpmath.exp(-v)),
    "Tanh": mpmath.tanh,
    "Softplus": lambda v: mpmath.log(1 + mpmath.exp(v)),
    "Erf": mpmath.erf,
    "Sin": mpmath.sin,
    "Cos": mpmath.cos,
}


def network(operator: str) -> Graph:
    chance = np.random.default_rng(1)
    builder = GraphBuilder.start("x", (4,), Limits())
    names = [builder.parameter(chance.normal(size=shape), "w") for shape in ((5, 4), (3, 5))]
    hidden = builder.add(Node("first", "Gemm", ("x", names[0]), "h", {}, "Gemm"))
    bent = builder.add(Node("bend", operator, (hidden,), "b", {}, operator))
    return builder.finish(builder.add(Node("last", "Gemm", (bent, names[1]), "y", {}, "Gemm")))


def product(weight: np.ndarray, vector: Sequence[float]) -> list[mpmath.mpf]:
    """Return a matrix times a vector in the precision at work."""
    rows = weight.astype(float).tolist()
    return [mpmath.fsum(mpmath.mpf(w) * v for w, v in zip(row, vector, strict=True)) for row in rows]


@pytest.mark.parametrize("operator", sorted(FUNCTIONS))
def test_scores_are_within_their_error_of_fifty_digits(operator: str) -> None:
    graph = network(operator)
    x = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    scores, errors = enclosed_scores(graph, x)
    allowed = ledger(graph).drifts(x.norm(dim=1) * (1 + 1e-12), UNIT, errors)[graph.output]
    first, last = graph.parameters.values()
    with mpmath.workdps(50):
        for row, bound, found in zip(x.tolist(), allowed.tolist(), scores.tolist(), strict=True):
            hidden = [FUNCTIONS[operator](value) for value in product(first, row)]
            exact = product(last, hidden)
            off = mpmath.sqrt(mpmath.fsum((a - b) ** 2 for a, b in zip(found, exact, strict=True)))
            assert off <= bound < 1e-11


def test_smooth_networks_have_radii_in_real_arithmetic_only(make_case: MakeCase) -> None:
    items = np.random.default_rng(0).random((10, 4), np.float32)
    subject = load(make_case(network("Tanh"), items, None), range(10))
    analysis = analyse(subject, range(10))
    for arithmetic in Execution:
        rows = list(run(subject, LipschitzSpec((0.1,), arithmetic=arithmetic), range(10), analysis))
        assert all((row.radius > 0) == (arithmetic is Execution.REAL) for row in rows)
        assert all(math.isfinite(row.radius) for row in rows)
