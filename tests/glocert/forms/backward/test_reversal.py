"""Functionals of the scores by a backward pass, against exact arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glocert.forms.backward import Reversal, Tape, prepare
from glocert.forms.backward.registry import REGISTRY
from glocert.forms.form import Form
from glocert.forms.ops.registry import REGISTRY as FORWARD
from glocert.forms.program import prepare as prepare_forms
from glocert.graph.ir import Graph
from tests.glocert.forms.exactness import ROWS, exact_node, member, outside, parameters, random_form
from tests.glocert.segments.networks import Draft, Wild, mlp
from tests.glocert.segments.rational import Exact, exactly


def recorded(graph: Graph, x: Form) -> tuple[Reversal, Tape]:
    reversal = prepare(prepare_forms(graph))
    return reversal, reversal.record(x)


def exact_scores(graph: Graph, x: Exact) -> Exact:
    live = {graph.input: x}
    for node in graph.nodes:
        live[node.output] = exact_node(graph, node, live)
    return live[graph.output].reshape(ROWS, -1)


def functional(weights: torch.Tensor, scores: Exact) -> Exact:
    return (exactly(weights.numpy()) * scores[:, None]).sum(axis=2)


def random_weights(rng: np.random.Generator, classes: int, whole: bool) -> torch.Tensor:
    shape = (ROWS, int(rng.integers(1, 4)), classes)
    values = rng.integers(-1, 2, shape).astype(np.float64) if whole else rng.standard_normal(shape)
    return torch.from_numpy(values)


def worst(rng: np.random.Generator, graph: Graph, x: Form, whole: bool) -> float:
    """Return the worst share of random functionals at random points of random forms."""
    reversal, tape = recorded(graph, x)
    weights = random_weights(rng, tape.scores.centre.shape[1], whole)
    found, shares = reversal.functionals(tape, weights), []
    for _ in range(4):
        u = parameters(rng, len(x.slopes))
        exact = functional(weights, exact_scores(graph, member(rng, x, u)))
        shares.append(outside(found, exact, u))
    return max(shares)


@settings(max_examples=80)
@given(st.integers(0, 10**9), st.booleans(), st.integers(1, 3))
def test_functionals_of_random_networks(seed, whole, slopes):
    rng = np.random.default_rng(seed)
    graph = Wild(rng, whole).build(int(rng.integers(1, 4)))
    assert worst(rng, graph, random_form(rng, graph.input_shape, slopes, whole), whole) <= 1.0


@settings(max_examples=60)
@given(st.integers(0, 10**9), st.integers(1, 2))
def test_rounding_alone(seed, slopes):
    """Forms without errors through networks without kinks: only roundings are left to be charged."""
    rng = np.random.default_rng(seed)
    graph = Wild(rng).build(1)
    x = random_form(rng, graph.input_shape, slopes)
    exact = Form.of(torch.cat([x.centre[None], x.slopes * 0]), x.error * 0)
    assert worst(rng, graph, exact, False) <= 1.0
