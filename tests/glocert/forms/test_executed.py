"""Every float32 execution of a network is within its forms, in exact rational arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glocert.errors import UnsupportedOperators
from glocert.forms.path import Parts
from glocert.forms.path import forms as forms_of
from glocert.forms.program import prepare
from glocert.graph.ir import Graph
from glocert.paths.segment import Segment
from glocert.spec import Arithmetic
from tests.glocert.executed import Execution, Round, leaning, nearest
from tests.glocert.forms.exactness import exact_path, outside
from tests.glocert.segments.networks import Draft, Wild, line, random_segment
from tests.glocert.segments.rational import exactly

ROUNDS = {"nearest": nearest, "up": leaning(1), "down": leaning(-1)}


def worst_execution(
    rng: np.random.Generator, graph: Graph, segment: Segment, dtype: torch.dtype, rounded: Round
) -> float:
    """Return the worst share of all activations of a few executions at points of two parts of a path."""
    program = prepare(graph, dtype=dtype, arithmetic=Arithmetic.FLOAT32)
    ends = np.sort(rng.choice([0.0, 1.0, 0.5, *rng.random(6)], (2, 2)), axis=1)
    parts = Parts.between(*ends.T.copy())
    live = {graph.input: program.entered(forms_of(segment.loaded(program.device), parts, program.device))}
    for step in program.steps:
        live[step.output] = step.transfer(*(live[name] for name in step.inputs))
    shares = []
    for _ in range(3):
        start, stop = exactly(parts.start), exactly(parts.stop)
        t = start + exactly(rng.integers(0, 4, 2).astype(object)) / 3 * (stop - start)
        half = np.where(parts.half > 0, exactly(parts.half), Fraction(1))
        u = ((t - exactly(parts.middle)) / half)[None]
        images = exact_path(rng, segment, t).astype(np.float64)
        found = [dict(Execution(graph, rng, rounded).run(image)) for image in images]
        for name, form in live.items():
            executed = exactly(np.stack([values[name] for values in found]).astype(object))
            shares.append(outside(form, executed, u))
    return max(shares)


def folded_into_a_convolution() -> Graph:
    """A convolution, a normalisation, a residual: one sum in most runtimes."""
    rng, draft = np.random.default_rng(1), Draft(2, 5, 5)
    x = draft.conv("x", rng.standard_normal((2, 2, 3, 3)).astype(np.float32), np.ones(2), pads=(1, 1, 1, 1))
    norms = [np.array(part, np.float32) for part in ([0.3, -2.0], [0.0, 70.0], [3.0, -40.0], [0.01, 5.0])]
    x = draft.same("BatchNormalization", x, *norms, epsilon=1e-5)
    wide = draft.same("Mul", "x", np.float32(300.0))
    return draft.graph(draft.node("Add", [wide, x], (2, 5, 5)))


def shifted_far(operator: str) -> Graph:
    """A sum of many small products and one large constant or activation."""
    rng, draft = np.random.default_rng(2), Draft(60)
    x = draft.node("MatMul", ["x", draft.parameter(rng.standard_normal((60, 3)).astype(np.float32))], (3,))
    if operator == "Div":
        return draft.graph(draft.same("Add", draft.same("Div", x, np.float32(0.3)), np.float32(50.1)))
    shift = draft.parameter(np.float32([1e3, 0.1, -1e4]))
    return draft.graph(draft.node(operator, [x, shift], (3,)))


def moved_between() -> Graph:
    """A normalisation that meets the convolution's numbers in another order."""
    rng, draft = np.random.default_rng(3), Draft(3, 1, 6)
    x = draft.conv("x", rng.standard_normal((4, 3, 1, 3)).astype(np.float32))
    x = draft.node("Transpose", [draft.reshape(x, 4, 4)], (4, 4), perm=(1, 0))
    norms = rng.standard_normal((3, 4)).astype(np.float32) * 10
    x = draft.same("BatchNormalization", x, *norms, np.float32([0.1, 1, 2, 3]), epsilon=0.0)
    return draft.graph(draft.same("Sub", x, np.float32(0.7)))


def leaky_and_clipped() -> Graph:
    """Levels and slopes that float32 does not have."""
    draft = Draft(30)
    x = draft.same("LeakyRelu", draft.same("Clip", "x", min=-0.7, max=0.3), alpha=0.1)
    x = draft.node("Concat", [x, draft.parameter(np.array([0.1, 1e-30, 1e5 / 3]))], (33,), axis=0)
    x = draft.node("Pad", [x], (35,), pads=(1, 1), value=0.2)
    return draft.graph(draft.same("LeakyRelu", x, alpha=-7.3))


def products() -> Graph:
    """Products of activations, a square among them."""
    draft = Draft(3, 3)
    square = draft.node("Mul", ["x", "x"], (3, 3))
    mixed = draft.node("Mul", [square, "x"], (3, 3))
    return draft.graph(mixed)


CASES = {
    "convolution": folded_into_a_convolution(),
    "plus": shifted_far("Add"),
    "minus": shifted_far("Sub"),
    "divided": shifted_far("Div"),
    "moved": moved_between(),
    "kinks": leaky_and_clipped(),
    "products": products(),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("way", ROUNDS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_executions_that_fold_and_reorder(name, way, dtype):
    for seed in range(6):
        rng, graph = np.random.default_rng(seed), CASES[name]
        segment = random_segment(rng, graph.input_shape)
        assert worst_execution(rng, graph, segment, dtype, ROUNDS[way]) <= 1.0


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**9),
    st.booleans(),
    st.sampled_from([torch.float64, torch.float32]),
    st.sampled_from(sorted(ROUNDS)),
)
def test_every_execution_is_within_its_forms(seed, whole, dtype, way):
    rng = np.random.default_rng(seed)
    graph = Wild(rng, whole).build(int(rng.integers(1, 4)))
    ends = random_segment(rng, graph.input_shape, whole)
    segment = line(ends.start, ends.stop, float(rng.choice([0.0, 1e-3])))
    assert worst_execution(rng, graph, segment, dtype, ROUNDS[way]) <= 1.0


def test_nodes_without_a_promise_are_named_with_the_way_out():
    draft = Draft(3)
    graph = draft.graph(draft.same("Tanh", draft.same("Sigmoid", draft.relu("x"))))
    with pytest.raises(UnsupportedOperators) as caught:
        prepare(graph, arithmetic=Arithmetic.FLOAT32)
    assert [offence.where for offence in caught.value.offences] == ["sigmoid1", "tanh2"]
    assert all("real" in offence.way_out for offence in caught.value.offences)
