"""Functionals of the scores by a backward pass, against exact arithmetic."""

from __future__ import annotations

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
from glocert.graph.run import run
from glocert.spec import Arithmetic
from tests.glocert.executed import Execution
from tests.glocert.forms.exactness import ROWS, exact_node, member, outside, parameters, random_form
from tests.glocert.forms.test_executed import ROUNDS
from tests.glocert.segments.networks import Draft, Wild, mlp
from tests.glocert.segments.rational import Exact, exactly

DTYPES = st.sampled_from([torch.float64, torch.float32])


def recorded(graph: Graph, x: Form) -> tuple[Reversal, Tape]:
    reversal = prepare(prepare_forms(graph, dtype=x.centre.dtype))
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
    return torch.from_numpy(values.astype(np.float32).astype(np.float64))


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


@settings(max_examples=50)
@given(st.integers(0, 10**9), st.booleans(), st.integers(1, 3), DTYPES)
def test_functionals_of_random_networks(seed, whole, slopes, dtype):
    rng = np.random.default_rng(seed)
    graph = Wild(rng, whole).build(int(rng.integers(1, 4)))
    assert worst(rng, graph, random_form(rng, graph.input_shape, slopes, whole, dtype), whole) <= 1.0


@settings(max_examples=30)
@given(st.integers(0, 10**9), st.integers(1, 2), DTYPES)
def test_rounding_alone(seed, slopes, dtype):
    """Forms without errors through networks without kinks: only roundings are left to be charged."""
    rng = np.random.default_rng(seed)
    graph = Wild(rng).build(1)
    x = random_form(rng, graph.input_shape, slopes, dtype=dtype)
    exact = Form.of(torch.cat([x.centre[None], x.slopes * 0]), x.error * 0)
    assert worst(rng, graph, exact, False) <= 1.0


def constants(rng: np.random.Generator) -> tuple[Graph, float]:
    """Nothing but a bias: the input is zero."""
    draft = Draft(40)
    return draft.graph(draft.same("Add", "x", rng.standard_normal(40))), 0.0


def untouched(rng: np.random.Generator) -> tuple[Graph, float]:
    """Nothing but the input."""
    draft = Draft(40)
    return draft.graph(draft.reshape("x", 40)), 1.0


def twice(rng: np.random.Generator) -> tuple[Graph, float]:
    """The input read by two nodes: adjoints are added."""
    draft = Draft(2)
    turned = draft.node("Gather", ["x"], [2], axis=0, indices=tuple(rng.permutation(2).tolist()))
    return draft.graph(draft.node("Concat", [turned, "x"], [4], axis=0)), 1.0


@pytest.mark.parametrize("build", [constants, untouched, twice])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_each_rounding_of_the_sweep(build, dtype):
    for seed in range(25):
        rng = np.random.default_rng(seed)
        graph, scale = build(rng)
        x = narrow_form(rng, graph.input_shape, 0.0).to(dtype)
        assert worst(rng, graph, Form.of(x.lines() * scale, x.error * 0), False) <= 1.0


def narrow_form(rng: np.random.Generator, shape: tuple[int, ...], width: float) -> Form:
    lines = torch.from_numpy(rng.standard_normal((2, ROWS, *shape)))
    lines[1] *= width
    return Form.of(lines, torch.full((ROWS, *shape), width / 10, dtype=lines.dtype))


@settings(max_examples=30)
@given(st.integers(0, 10**9), st.sampled_from([0.0, 1e-6, 0.03, 1.0]))
def test_less_error_than_forward_on_chains(seed, width):
    """The same lines, but errors pass through products of the weights, not of their absolute values."""
    rng = np.random.default_rng(seed)
    graph = mlp(rng, 4, 12, 12, 12, 3)
    reversal, tape = recorded(graph, narrow_form(rng, (4,), width))
    found = reversal.functionals(tape, torch.eye(3, dtype=torch.float64).expand(ROWS, 3, 3))
    assert (found.error <= tape.scores.error * (1 + 1e-9) + 1e-12).all()
    if width == 1.0:
        assert found.error.sum() < 0.8 * tape.scores.error.sum()


SMOOTH = {
    "Sigmoid": {},
    "Tanh": {},
    "Softplus": {},
    "Silu": {},
    "Erf": {},
    "Sin": {},
    "Cos": {},
    "Mish": {},
    "Gelu": {"approximate": "none"},
    "Exp": {},
    "Elu": {"alpha": 0.7},
    "HardSwish": {},
    "Pow": {"exponent": 2.0},
    "Softmax": {"axis": 0},
}


def smooth(rng: np.random.Generator, operator: str) -> Graph:
    """A network with a smooth function, and a product of two activations after it."""
    draft = Draft(3)
    x = draft.gemm("x", rng.standard_normal((4, 3)) / 2, rng.standard_normal(4))
    x = draft.same(operator, x, **SMOOTH[operator])
    y = draft.gemm(x, rng.standard_normal((4, 4)))
    z = draft.node("Mul", [draft.relu(y), x], [4])
    return draft.graph(draft.gemm(draft.node("Add", [z, y], [4]), rng.standard_normal((2, 4))))


@pytest.mark.parametrize("operator", SMOOTH)
@pytest.mark.parametrize("width", [0.0, 1e-4, 0.2, 2.0])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_smooth_functions_and_products(operator, width, dtype):
    """Computed scores are off by rounding only, so that they are inside up to 1e-9."""
    rng = np.random.default_rng(len(operator))
    graph = smooth(rng, operator)
    x = narrow_form(rng, (3,), width)
    reversal, tape = recorded(graph, x.to(dtype))
    weights = random_weights(rng, 2, False)
    found = reversal.functionals(tape, weights)
    assert torch.isfinite(found.error).all()
    for _ in range(50):
        u = torch.from_numpy(rng.uniform(-1, 1, ROWS))
        noise = torch.from_numpy(rng.choice([-1.0, 1.0], (ROWS, 3)))
        scores = run(graph, x.centre + x.slopes[0] * u[:, None] + x.error * noise)
        exact = (weights * scores[:, None]).sum(2)
        assert ((exact - found.centre - found.slopes[0] * u[:, None]).abs() <= found.error + 1e-9).all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("part", ["centre", "slopes", "error"])
def test_what_is_not_finite_stays_so(bad, part):
    rng = np.random.default_rng(5)
    graph = Wild(rng).build(2)
    x = narrow_form(rng, graph.input_shape, 0.1)
    getattr(x, part).flatten(-len(graph.input_shape))[..., 0, 0] = bad
    reversal, tape = recorded(graph, x)
    found = reversal.functionals(tape, random_weights(rng, tape.scores.centre.shape[1], False))
    assert torch.isinf(found.error[0]).all()
    assert torch.isfinite(found.error[1:]).all()
    assert torch.isfinite(found.lines()).all()


def test_rows_of_a_tape():
    rng = np.random.default_rng(3)
    graph = Wild(rng).build(3)
    reversal, tape = recorded(graph, narrow_form(rng, graph.input_shape, 0.1))
    weights = random_weights(rng, tape.scores.centre.shape[1], False)
    whole = reversal.functionals(tape, weights)
    for chosen in (torch.tensor([2, 0]), torch.tensor([False, True, True])):
        part = reversal.functionals(tape.rows(chosen), weights[chosen])
        torch.testing.assert_close(part.lines(), whole.lines()[:, chosen])
        torch.testing.assert_close(part.error, whole.error[chosen])


def test_every_operator_has_a_reverse_or_is_substituted_as_it_is():
    assert set(FORWARD) - set(REGISTRY) == {"Softmax"}


@pytest.mark.parametrize("rounded", ROUNDS)
@settings(max_examples=12)
@given(st.integers(0, 10**9), DTYPES)
def test_functionals_of_what_float32_executes(rounded, seed, dtype):
    """Any order and any fusion, rounded to nearest or always to one side; an overflow is not known."""
    rng = np.random.default_rng(seed)
    graph = Wild(rng).build(int(rng.integers(1, 4)))
    reversal = prepare(prepare_forms(graph, dtype=dtype, arithmetic=Arithmetic.FLOAT32))
    point = narrow_form(rng, graph.input_shape, 0.0)
    tape = reversal.record(Form.of(point.lines(), point.error * 0))
    weights = random_weights(rng, tape.scores.centre.shape[1], False)
    found = reversal.functionals(tape, weights)
    executed = [dict(Execution(graph, rng, ROUNDS[rounded]).run(image)) for image in point.centre.numpy()]
    scores = np.stack([exactly(values[graph.output].astype(object)).reshape(-1) for values in executed])
    assert outside(found, functional(weights, scores), parameters(rng, 1) * 0) <= 1.0
    assert torch.isinf(found.error).any(1).equal(~torch.isfinite(tape.scores.error).all(1))
