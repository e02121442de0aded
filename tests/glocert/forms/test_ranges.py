"""Ranges by intervals, and intersected with forms, against exact arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glocert.forms.backward import Reversal, prepare
from glocert.forms.backward.ranged import Ranged, intersected, intervals
from glocert.forms.form import Form
from glocert.forms.program import prepare as prepare_forms
from glocert.forms.ranges import Range, image
from glocert.graph.ir import Graph
from glocert.spec import Arithmetic
from tests.glocert.executed import Execution
from tests.glocert.forms.exactness import exact_node, member, outside, parameters, random_form
from tests.glocert.forms.test_executed import ROUNDS
from tests.glocert.segments.networks import Draft, Wild, mlp
from tests.glocert.segments.rational import Exact, exactly

DTYPES = st.sampled_from([torch.float64, torch.float32])


def reversal_of(graph: Graph, x: Form) -> Reversal:
    return prepare(prepare_forms(graph, dtype=x.centre.dtype))


def contains(found: Range, exact: Exact) -> bool:
    low, high = (end.double().numpy() for end in (found.low, found.high))
    pairs = zip(low.ravel(), exact.ravel(), high.ravel(), strict=True)
    return all(
        (not np.isfinite(a) or Fraction(a) <= x) and (not np.isfinite(b) or x <= Fraction(b))
        for a, x, b in pairs
    )


def check(rng: np.random.Generator, graph: Graph, x: Form, found: Ranged) -> None:
    """Every activation at random points of the input is in its range, and in its form."""
    for _ in range(3):
        u = parameters(rng, len(x.slopes))
        live = {graph.input: member(rng, x, u)}
        for node in graph.nodes:
            live[node.output] = exact_node(graph, node, live)
            if node.output not in found.ranges:
                continue
            assert contains(found.ranges[node.output], live[node.output]), node.operator
            if found.tape is not None:
                assert outside(found.tape.forms[node.output], live[node.output], u) <= 1.0, node.operator


@settings(max_examples=25)
@given(st.integers(0, 10**9), st.booleans(), DTYPES)
def test_activations_are_in_their_ranges(seed, whole, dtype):
    rng = np.random.default_rng(seed)
    graph = Wild(rng, whole).build(int(rng.integers(1, 4)))
    x = random_form(rng, graph.input_shape, 1, whole, dtype)
    reversal = reversal_of(graph, x)
    check(rng, graph, x, intervals(reversal, x))
    check(rng, graph, x, intersected(reversal, x))


@settings(max_examples=25)
@given(st.integers(0, 10**9))
def test_never_looser_than_intervals(seed):
    """Where nothing but intervals is known a range is theirs, up to rounding."""
    rng = np.random.default_rng(seed)
    graph = Wild(rng).build(int(rng.integers(1, 4)))
    x = random_form(rng, graph.input_shape)
    reversal = reversal_of(graph, x)
    plain, both = intervals(reversal, x), intersected(reversal, x)
    for name, wide in plain.ranges.items():
        slack = 1e-9 * wide.peak() + 1e-12
        known = torch.isfinite(slack)
        assert (both.ranges[name].low >= wide.low - slack)[known].all()
        assert (both.ranges[name].high <= wide.high + slack)[known].all()


def test_a_form_alone_can_be_looser():
    """A rectified form goes below zero, its range does not."""
    draft = Draft(1)
    graph = draft.graph(draft.relu("x"))
    x = Form.of(torch.tensor([[[0.0]], [[1.0]]], dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64))
    found = intersected(reversal_of(graph, x), x)
    assert found.tape is not None
    assert found.tape.scores.bounds()[0] < -0.4
    assert found.output.low == 0
    assert 1 <= found.output.high <= 1 + 1e-12


@pytest.mark.parametrize("seed", range(5))
def test_exact_on_affine_networks(seed):
    """One matrix: interval arithmetic and forms both give the range that a segment has."""
    rng = np.random.default_rng(seed)
    draft = Draft(4)
    graph = draft.graph(draft.gemm("x", rng.standard_normal((3, 4)), rng.standard_normal(3)))
    lines = torch.from_numpy(rng.standard_normal((2, 1, 4)))
    x = Form.of(lines, torch.zeros(1, 4, dtype=torch.float64))
    weight, bias = (
        np.asarray(graph.parameters[name], dtype=np.float64) for name in graph.nodes[0].inputs[1:]
    )
    centre, slope = lines[0, 0].numpy() @ weight.T + bias, lines[1, 0].numpy() @ weight.T
    found = intersected(reversal_of(graph, x), x)
    np.testing.assert_allclose(found.output.low[0], centre - np.abs(slope), atol=1e-12)
    np.testing.assert_allclose(found.output.high[0], centre + np.abs(slope), atol=1e-12)
    wide = intervals(reversal_of(graph, x), x)
    radius = np.abs(lines[1, 0].numpy()) @ np.abs(weight.T)
    np.testing.assert_allclose(wide.output.high[0] - wide.output.low[0], 2 * radius, atol=1e-12)


def test_a_chain_that_bends_where_nothing_moves():
    """Constants through LeakyRelu: a range of one point has no chord."""
    draft = Draft(2)
    constant = draft.same("Clip", "x", min=-2.0, max=-2.0)
    graph = draft.graph(draft.same("LeakyRelu", constant, alpha=0.5))
    x = random_form(np.random.default_rng(0), (2,))
    found = intersected(reversal_of(graph, x), x)
    assert contains(found.output, exactly(np.full((3, 2), -1.0)))
    assert (found.output.high - found.output.low < 1e-12).all()


def test_intervals_are_wider_on_chains():
    graph = mlp(np.random.default_rng(1), 3, 12, 12, 3)
    x = Form.of(torch.randn(2, 1, 3, dtype=torch.float64), torch.zeros(1, 3, dtype=torch.float64))
    reversal = reversal_of(graph, x)
    plain, both = intervals(reversal, x).output, intersected(reversal, x).output
    assert (both.high - both.low < plain.high - plain.low).all()


@pytest.mark.parametrize("rounded", ROUNDS)
@settings(max_examples=10)
@given(st.integers(0, 10**9), DTYPES)
def test_what_float32_executes_is_in_the_ranges(rounded, seed, dtype):
    rng = np.random.default_rng(seed)
    graph = Wild(rng).build(int(rng.integers(1, 4)))
    reversal = prepare(prepare_forms(graph, dtype=dtype, arithmetic=Arithmetic.FLOAT32))
    x = random_form(rng, graph.input_shape)
    point = Form.of(x.lines() * torch.tensor([1.0, 0.0]).reshape(2, *[1] * x.centre.ndim), x.error * 0)
    executed = [dict(Execution(graph, rng, ROUNDS[rounded]).run(image)) for image in point.centre.numpy()]
    for found in (intervals(reversal, point), intersected(reversal, point)):
        for name, known in found.ranges.items():
            exact = exactly(np.stack([values[name] for values in executed]).astype(object))
            assert contains(known, exact), name


def test_a_product_at_an_end_is_rounded():
    alpha, low = 0.1, -np.abs(np.random.default_rng(0).standard_normal(100))
    draft = Draft(100)
    graph = draft.graph(draft.same("LeakyRelu", "x", alpha=alpha))
    (step,) = prepare_forms(graph).steps
    point = torch.from_numpy(low)[None]
    found = image(step.transfer, [Range(point, point.clone())], 1)
    assert contains(found, Fraction(alpha) * exactly(low)[None])
