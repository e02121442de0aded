"""What is lowered, and what is left to grids."""

from __future__ import annotations

import numpy as np
import pytest

from glocert.segments import prepare
from glocert.segments.events import network
from glocert.segments.events.loops.tables import BENT, KIND
from glocert.segments.events.lowering import registry
from glocert.segments.events.workload import workload
from glocert.segments.ops.registry import REGISTRY
from glocert.spec import Arithmetic
from tests.glocert.segments.networks import Draft, mlp


def test_every_operator_that_grids_follow_is_lowered():
    assert set(registry.REGISTRY) == set(REGISTRY)


@pytest.mark.parametrize("limit", ["MOST", "UNITS"])
def test_a_network_that_is_too_large_is_followed_by_grids(limit, monkeypatch):
    graph = mlp(np.random.default_rng(0), 4, 9, 3)
    assert prepare(graph).events is not None
    monkeypatch.setattr(network, limit, 20)
    assert prepare(graph).events is None


def test_a_product_of_all_pairs_is_not_written_out_beyond_the_limit(monkeypatch):
    draft = Draft(4, 6, 6)
    graph = draft.graph(draft.relu(draft.conv("x", np.ones((4, 1, 3, 3)), group=4)))
    assert network.prepare(graph) is not None
    monkeypatch.setattr("glocert.segments.events.lowering.windows.MOST", 100)
    assert network.prepare(graph) is None


def test_executions_and_affine_networks_are_followed_by_grids():
    graph = mlp(np.random.default_rng(0), 4, 9, 3)
    assert prepare(graph, arithmetic=Arithmetic.FLOAT32).events is None
    draft = Draft(3)
    assert prepare(draft.graph(draft.gemm("x", np.eye(3)))).events is None


def test_a_sum_that_one_rectifier_reads_is_its_layer():
    draft = Draft(2, 5, 5)
    x = draft.relu(draft.conv("x", np.ones((2, 2, 3, 3)), np.ones(2), pads=(1, 1, 1, 1)))
    y = draft.conv(x, np.ones((2, 2, 3, 3)), pads=(1, 1, 1, 1))
    z = draft.relu(draft.node("Add", [y, x], draft.shapes[x]))
    made = network.prepare(draft.graph(draft.gemm(draft.flat(z), np.ones((2, 50)))))
    assert made is not None
    assert len(made.plan[0]) == 4
    assert (made.plan[0][:, KIND] == BENT).sum() == 2


def test_weights_stay_narrow_where_that_is_exact():
    rng = np.random.default_rng(0)
    narrow, wide = Draft(3), Draft(3)
    for draft, kind in ((narrow, np.float32), (wide, np.float64)):
        draft.relu(draft.gemm("x", rng.standard_normal((2, 3)).astype(kind)))
    types = [network.prepare(draft.graph(draft.nodes[-1].output)).plan[2].dtype for draft in (narrow, wide)]
    assert types == [np.float32, np.float64]


def test_an_event_of_a_deep_layer_is_less_work():
    made = network.prepare(mlp(np.random.default_rng(0), 4, 10, 20, 3))
    work = workload(made, 0.5)
    # A unit of the first layer: 20 products, 10 of them are sent on to 3 scores; of the second: 3.
    assert work.products == pytest.approx((10 * (20 + 10 * 3) + 20 * 3) / 30)
    assert work.renewed == pytest.approx((10 * (20 + 3) + 20 * 3) / 30)
    assert work.everything == 4 * 10 + 10 * 20 + 20 * 3
