"""Margins of a forward pass made tighter by a backward pass."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glocert.forms.backward import open_margins, prepare, tightened
from glocert.forms.margins import Margins, margins
from glocert.forms.path import Parts, forms
from glocert.forms.program import prepare as prepare_forms
from glocert.graph.ir import Graph
from tests.glocert.segments.networks import line, mlp
from tests.glocert.segments.rational import exact_curve, exactly


def both(graph: Graph, path, parts: Parts, others, label, margin) -> tuple[Margins, Margins]:
    program = prepare_forms(graph)
    reversal = prepare(program)
    tape = reversal.record(forms(path.loaded(program.device), parts, program.device))
    known = margins(tape.scores, parts, label, margin)
    return known, tightened(reversal, tape, known, (label, margin), others)


@settings(max_examples=15)
@given(st.integers(0, 10**9), st.sampled_from([0.0, 0.25]))
def test_exact_margins_are_inside(seed, margin):
    rng = np.random.default_rng(seed)
    graph = mlp(rng, 3, 10, 10, 4)
    path = line(rng.standard_normal(3), rng.standard_normal(3))
    ends = np.linspace(0, 1, 5)
    parts, label = Parts.between(ends[:-1], ends[1:]), rng.integers(0, 4, 4)
    others = rng.integers(0, 3, (4, 2))
    known, better = both(graph, path, parts, others, label, margin)
    assert (better.error <= known.error).all()
    curve, lows, highs = (
        exact_curve(graph, path),
        better.line(ends[:-1, None], -1),
        better.line(ends[:-1, None], 1),
    )
    scores = curve.at(list(exactly(ends[:-1])))
    rivals = [np.delete(row, own) for row, own in zip(scores, label, strict=True)]
    exact = np.array([row[own] - rest - margin for row, own, rest in zip(scores, label, rivals, strict=True)])
    exact = exact.astype(float)
    assert (lows[:, 0] <= exact + 1e-12).all()
    assert (exact <= highs[:, 0] + 1e-12).all()


def test_only_the_margins_asked_for_change():
    rng = np.random.default_rng(0)
    graph = mlp(rng, 3, 16, 16, 4)
    parts = Parts.between(np.array([0.0, 0.5]), np.array([0.5, 1.0]))
    path = line(3 * rng.standard_normal(3), 3 * rng.standard_normal(3))
    labels = np.array([1, 3])
    known, better = both(graph, path, parts, np.array([[2], [0]]), labels, np.array([0.0, 0.5]))
    changed = known.error != better.error
    assert changed.tolist() == [[False, False, True], [True, False, False]]


def test_the_lowest_margins_are_open():
    centre = np.array([[3.0, 1.0, 2.0], [0.0, 5.0, -1.0]])
    error = np.array([[2.5, 0.1, 0.2], [0.1, 0.1, 0.1]])
    parts = Parts.between(np.zeros(2), np.ones(2))
    known = Margins(parts, centre, np.zeros((2, 3)), error, np.ones(2))
    assert open_margins(known, 2).tolist() == [[0, 1], [2, 0]]
    assert torch.from_numpy(open_margins(known, 9)).shape == (2, 3)
