from __future__ import annotations

import numpy as np
import pytest
import torch

from glocert.graph.ir import Graph, Node
from glocert.segments.knots import Knots
from glocert.segments.ops.registry import REGISTRY, Site, plain

FUNCTIONS = {
    "Relu": ({}, lambda x: np.maximum(x, 0)),
    "LeakyRelu": ({"alpha": 0.2}, lambda x: np.where(x < 0, 0.2 * x, x)),
    "LeakyRelu, falling": ({"alpha": -3.0}, lambda x: np.where(x < 0, -3.0 * x, x)),
    "Clip": ({"min": -0.5, "max": 0.25}, lambda x: np.clip(x, -0.5, 0.25)),
    "Clip, upper only": ({"min": -np.inf, "max": 0.25}, lambda x: np.minimum(x, 0.25)),
    "Clip, crossed": ({"min": 1.0, "max": -1.0}, lambda x: np.full_like(x, -1.0)),
}


def kink(name: str, size: int):
    attributes, function = FUNCTIONS[name]
    node = Node("node", name.partition(",")[0], ("x",), "y", attributes)
    graph = Graph("x", "y", (node,), {}, {"x": (size,), "y": (size,)})
    built, _ = REGISTRY[node.operator].build(node, Site(graph, {"x": plain((size,))}, torch.device("cpu")))
    return built, function


def between(values: np.ndarray, share: float) -> np.ndarray:
    return values[:-1] + share * (values[1:] - values[:-1])


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("seed", range(5))
def test_pieces_that_were_never_cut_are_charged_what_they_hide(name, seed):
    rng = np.random.default_rng(seed)
    values, incoming = rng.standard_normal((7, 9)), rng.random(9) * 0.1
    built, function = kink(name, 9)
    bent = built.bend(Knots(torch.from_numpy(values.copy()), torch.from_numpy(incoming)), owned=False)
    np.testing.assert_allclose(bent.values.numpy(), function(values), rtol=1e-15)
    worst = np.zeros(9)
    for share in np.linspace(0, 1, 101):
        exact, model = between(values, share), between(bent.values.numpy(), share)
        for sign in (-1, 0, 1):
            worst = np.maximum(worst, np.abs(function(exact + sign * incoming) - model).max(axis=0))
    assert (worst <= bent.radius.numpy() + 1e-15).all()
    low, high = (end.numpy() for end in bent.extent())
    assert (low <= bent.values.numpy().min(axis=0)).all()
    assert (high >= bent.values.numpy().max(axis=0)).all()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_cuts_leave_nothing_to_charge(name):
    rng = np.random.default_rng(3)
    values = rng.standard_normal((2, 4))
    built, function = kink(name, 4)
    t = torch.tensor([0.0, 1.0], dtype=torch.float64)
    cuts = built.cuts(t, Knots(torch.from_numpy(values), torch.zeros(4, dtype=torch.float64)))
    grid = np.sort(np.concatenate([[0.0, 1.0], cuts.numpy()]))[:, None]
    refined = values[:1] + grid * (values[1:] - values[:1])
    bent = built.bend(Knots(torch.from_numpy(refined), torch.zeros(4, dtype=torch.float64)), owned=False)
    assert bent.radius.max() < 1e-13
    assert (np.diff(grid[:, 0]) > 0).all()
    assert (
        len(cuts) == 0
        or np.abs(function(between(refined, 0.5)) - between(function(refined), 0.5)).max() < 1e-13
    )


def test_memory_is_overwritten_only_when_it_is_owned():
    values = torch.tensor([[-1.0, 2.0], [3.0, -4.0]], dtype=torch.float64)
    built, _ = kink("Relu", 2)
    kept = built.bend(Knots(values, torch.zeros(2, dtype=torch.float64)), owned=False)
    assert values.min() == -4.0
    taken = built.bend(Knots(values, torch.zeros(2, dtype=torch.float64)), owned=True)
    assert values.min() == 0.0
    assert torch.equal(kept.values, taken.values)


def test_a_unit_that_is_off_all_along_has_no_radius():
    values = torch.tensor([[-1.0, -1.0, 1.0], [-2.0, -1.0, 2.0]], dtype=torch.float64)
    radius = torch.tensor([0.5, 1.5, 0.5], dtype=torch.float64)
    bent = kink("Relu", 3)[0].bend(Knots(values, radius), owned=False)
    assert bent.radius[0] == 0
    assert (bent.radius[1:] >= radius[1:]).all()


@pytest.mark.parametrize("value", [-np.inf, np.inf, np.nan])
def test_a_value_that_is_not_finite_is_never_forgotten(value):
    values = torch.tensor([[value], [value]], dtype=torch.float64)
    for name in ("Relu", "LeakyRelu", "Clip"):
        bent = kink(name, 1)[0].bend(Knots(values, torch.zeros(1, dtype=torch.float64)), owned=False)
        assert not torch.isfinite(bent.radius).any()
