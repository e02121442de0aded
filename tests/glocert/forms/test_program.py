from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glocert.errors import UnsupportedOperators
from glocert.forms.path import Parts, forms
from glocert.forms.program import prepare
from glocert.graph.ir import Graph, Node
from tests.glocert.forms.exactness import worst_of_network
from tests.glocert.segments.networks import Draft, Wild, line, mlp, random_segment


@settings(max_examples=40)
@given(
    st.integers(0, 10**9),
    st.booleans(),
    st.sampled_from([0.0, 1e-3]),
    st.sampled_from([torch.float64, torch.float32]),
)
def test_every_activation_is_within_its_form(seed, whole, radius, dtype):
    rng = np.random.default_rng(seed)
    graph = Wild(rng, whole).build(int(rng.integers(1, 4)))
    ends = random_segment(rng, graph.input_shape, whole)
    assert worst_of_network(rng, graph, line(ends.start, ends.stop, radius), dtype) <= 1.0


def test_every_node_without_a_transfer_is_named():
    draft = Draft(3)
    x = draft.same("Riddle", draft.same("Relu", "x"))
    graph = draft.graph(draft.same("Riddle", x))
    with pytest.raises(UnsupportedOperators) as caught:
        prepare(graph)
    assert [offence.where for offence in caught.value.offences] == ["riddle1", "riddle2"]
    assert {offence.operator for offence in caught.value.offences} == {"Riddle"}


def test_nodes_that_the_output_does_not_need_are_left_out():
    draft = Draft(3)
    kept = draft.relu("x")
    draft.same("Riddle", "x")
    assert [step.output for step in prepare(draft.graph(kept)).steps] == [kept]


def test_rows_fit_into_the_memory():
    graph = mlp(np.random.default_rng(0), 4, 100, 50, 3)
    program = prepare(graph)
    assert program.width == 200
    assert program.rows(1) == 1
    assert program.rows(2**24) == 2**24 // (8 * 3 * 200 * 3)


def test_dead_activations_are_freed():
    """Two activations of 100 numbers at most are alive at once, whatever the depth."""
    graph = mlp(np.random.default_rng(0), 100, 100, 100, 100, 100, 100)
    steps = prepare(graph).steps
    assert all(step.dead == {*step.inputs} for step in steps)


def test_rows_do_not_mix():
    rng = np.random.default_rng(3)
    graph = Wild(rng).build(3)
    program, path = prepare(graph), random_segment(rng, graph.input_shape)
    ends = np.linspace(0, 1, 6)
    whole = path.loaded(program.device)
    together = program.scores(forms(whole, Parts.between(ends[:-1], ends[1:]), program.device))
    for row in range(5):
        part = Parts.between(ends[row : row + 1], ends[row + 1 : row + 2])
        alone = program.scores(forms(whole, part, program.device))
        np.testing.assert_allclose(alone.centre[0], together.centre[row], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(alone.error[0], together.error[row], rtol=1e-6, atol=1e-12)


def test_a_node_may_read_one_activation_twice():
    graph = Graph("x", "y", (Node("y", "Add", ("x", "x"), "y"),), {}, {"x": (2,), "y": (2,)})
    cpu = torch.device("cpu")
    path = line([0.0, 1.0], [1.0, 1.0]).loaded(cpu)
    form = forms(path, Parts.between(np.array([0.0]), np.array([1.0])), cpu)
    result = prepare(graph).scores(form)
    assert result.centre.tolist() == [[1.0, 2.0]]
