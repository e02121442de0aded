"""Every operator backwards, alone, against exact arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import glocert.forms.backward.ops  # noqa: F401
from glocert.forms.backward.ops.convolution import Transposed
from glocert.forms.backward.registry import REGISTRY
from glocert.forms.ops.registry import Site
from glocert.graph.ir import Graph, Node
from tests.glocert.forms.exactness import ROWS, exact_node, member, parameters, random_form
from tests.glocert.forms.ops.test_transfers import THIN
from tests.glocert.segments.networks import Draft, Wild
from tests.glocert.segments.rational import exactly

FUNCTIONALS = 2


def worst_of_node(
    rng: np.random.Generator, graph: Graph, node: Node, whole: bool, dtype: torch.dtype
) -> float:
    """Return how far functionals are from what the node says, as a share of what it charges."""
    built = REGISTRY[node.operator](node, Site(graph, torch.device("cpu"), dtype))
    if built is None:
        return 0.0
    names = [name for name in node.inputs if graph.is_activation(name)]
    forms = {name: random_form(rng, graph.shapes[name], 1, whole, dtype) for name in names}
    local = built.local([forms[name] for name in names])
    shape = (ROWS, FUNCTIONALS, *graph.shapes[node.output])
    adjoint = torch.from_numpy(rng.standard_normal(shape)).to(dtype)
    parts = built.back(adjoint, local.gains)
    u = parameters(rng, 1)
    exact = {name: member(rng, form, u) for name, form in forms.items()}
    y = exact_node(graph, node, exact)
    a = exactly(adjoint.double().numpy()).reshape(ROWS, FUNCTIONALS, -1)
    missed = (a * y.reshape(ROWS, 1, -1)).sum(axis=2)
    for name, part in zip(names, parts, strict=True):
        given_back = exactly(part.double().numpy()).reshape(ROWS, FUNCTIONALS, -1)
        missed = missed - (given_back * exact[name].reshape(ROWS, 1, -1)).sum(axis=2)
    full = ROWS, *graph.shapes[node.output]
    if local.shift is not None:
        shift = exactly(local.shift.expand(full).double().numpy())
        missed = missed - (a * shift.reshape(ROWS, 1, -1)).sum(axis=2)
    charged = local.charge if local.charge.numel() else torch.zeros(())  # nothing, where numbers only move
    charge = exactly(charged.expand(full).double().numpy())
    allowed = (abs(a) * charge.reshape(ROWS, 1, -1)).sum(axis=2)
    if local.floor is not None:
        allowed = allowed + exactly(local.floor.double().numpy()).reshape(ROWS, 1)
    return max(
        float(abs(m) / c) if c else (np.inf if m else 0.0)
        for m, c in zip(missed.ravel(), allowed.ravel(), strict=True)
    )


@settings(max_examples=60)
@given(st.integers(0, 10**9), st.booleans(), st.sampled_from([torch.float64, torch.float32]))
def test_nodes_of_random_networks(seed, whole, dtype):
    rng = np.random.default_rng(seed)
    graph = Wild(rng, whole).build(int(rng.integers(1, 4)))
    for node in graph.nodes:
        assert worst_of_node(rng, graph, node, whole, dtype) <= 1.0, node.operator


@pytest.mark.parametrize("name", THIN)
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_thin_convolutions(name, whole, dtype):
    rng, graph = np.random.default_rng(6), THIN[name]
    assert worst_of_node(rng, graph, graph.nodes[0], whole, dtype) <= 1.0


def test_which_convolutions_are_turned():
    """Where there are few maps the transpose is a convolution; with pads beyond the kernel it is not."""
    plain = REGISTRY["Conv"](THIN["thin padded convolution"].nodes[0], _site("thin padded convolution"))
    beyond = REGISTRY["Conv"](THIN["thin kernel in its pads"].nodes[0], _site("thin kernel in its pads"))
    assert not isinstance(plain.transposed, Transposed)
    assert isinstance(beyond.transposed, Transposed)


def _site(name: str) -> Site:
    return Site(THIN[name], torch.device("cpu"))


@pytest.mark.parametrize("operator", ["Reshape", "Transpose"])
def test_moves_charge_nothing_and_lose_nothing(operator):
    """Nothing is charged where numbers only move, so an adjoint that is not finite has to go on."""
    draft = Draft(2, 3)
    attributes = {"shape": (3, 2)} if operator == "Reshape" else {"perm": (1, 0)}
    graph = draft.graph(draft.node(operator, ["x"], (3, 2), **attributes))
    built = REGISTRY[operator](graph.nodes[0], Site(graph, torch.device("cpu")))
    local = built.local([random_form(np.random.default_rng(0), (2, 3), 1)])
    assert local.shift is None
    assert local.charge.numel() == 0
    for at in range(6):
        adjoint = torch.zeros(ROWS, FUNCTIONALS, 6)
        adjoint[..., at] = torch.nan
        (part,) = built.back(adjoint.view(ROWS, FUNCTIONALS, 3, 2), ())
        assert (part.isnan().flatten(2).sum(2) == 1).all()
