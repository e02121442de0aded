"""Every float32 execution of a network is within the radius of its curve, in exact rational arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glocert.budget import Budget
from glocert.graph.ir import Graph
from glocert.paths.segment import Segment
from glocert.segments import prepare
from glocert.segments.pieces import Run
from glocert.segments.runs import run
from glocert.segments.walk import blocks
from glocert.spec import Arithmetic
from tests.glocert.executed import Execution, Round, leaning, nearest
from tests.glocert.forms.exactness import exact_path
from tests.glocert.forms.test_executed import CASES
from tests.glocert.segments.networks import Wild, line, random_segment
from tests.glocert.segments.rational import ExactCurve, exactly

ROUNDS = {"nearest": nearest, "up": leaning(1), "down": leaning(-1)}


def worst_execution(rng: np.random.Generator, graph: Graph, segment: Segment, rounded: Round) -> float:
    """Return the worst share of the scores of a few executions."""
    program = prepare(graph, arithmetic=Arithmetic.FLOAT32)
    runs = [run(program, block) for block in blocks(program, segment, Budget())]
    return max(_share(rng, graph, segment, part, rounded) for part in runs for _ in range(4))


def _share(rng: np.random.Generator, graph: Graph, segment: Segment, part: Run, rounded: Round) -> float:
    own = [Fraction(t) for t in part.t]
    t = own[0] + Fraction(int(rng.integers(0, 65)), 64) * (own[-1] - own[0])
    image = exact_path(rng, segment, np.array([t]))[0].astype(np.float64)
    scores = Execution(graph, rng, rounded).run(image)[graph.output].reshape(-1)
    model = ExactCurve(own, exactly(part.scores)).at([t])[0]
    distance = abs(exactly(scores.astype(object)) - model)
    assert np.isfinite(part.radius).all()
    return max(
        float(d / Fraction(r)) if r else float(d > 0) * 2 for d, r in zip(distance, part.radius, strict=True)
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9), st.booleans(), st.sampled_from(sorted(ROUNDS)))
def test_every_execution_is_within_the_radius(seed, whole, way):
    rng = np.random.default_rng(seed)
    graph = Wild(rng, whole).build(int(rng.integers(1, 4)))
    ends = random_segment(rng, graph.input_shape, whole)
    segment = line(ends.start, ends.stop, float(rng.choice([0.0, 1e-3])))
    assert worst_execution(rng, graph, segment, ROUNDS[way]) <= 1.0


@pytest.mark.parametrize("name", [name for name in CASES if name != "products"])
@pytest.mark.parametrize("way", ROUNDS)
def test_executions_that_fold_and_reorder(name, way):
    for seed in range(4):
        rng, graph = np.random.default_rng(seed), CASES[name]
        segment = random_segment(rng, graph.input_shape)
        assert worst_execution(rng, graph, segment, ROUNDS[way]) <= 1.0


def test_in_real_arithmetic_executions_leave_the_radius():
    """The test above can fail: without the charges every execution is outside."""
    rng, graph = np.random.default_rng(0), CASES["convolution"]
    segment = random_segment(rng, graph.input_shape)
    program = prepare(graph)
    parts = [run(program, block) for block in blocks(program, segment, Budget())]
    assert max(_share(rng, graph, segment, part, nearest) for part in parts) > 1e3
