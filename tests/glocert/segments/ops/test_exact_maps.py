"""Operators without kinks, against the reference execution, at both ends and with a radius."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glocert.graph.run import run as execute
from glocert.segments import trace
from tests.glocert.segments.networks import Draft, line

RNG = np.random.default_rng(0)


def _numbers(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape)


def _conv(draft: Draft, **geometry) -> str:
    return draft.conv("x", _numbers(4, 4 // geometry.get("group", 1), 3, 2), _numbers(4), **geometry)


DRAFTS = {
    "conv": lambda d: _conv(d),
    "conv, uneven pads": lambda d: _conv(d, pads=(0, 1, 2, 0), strides=(2, 1)),
    "conv, dilated": lambda d: _conv(d, dilations=(2, 3), strides=(1, 2)),
    "conv, groups": lambda d: _conv(d, group=2, pads=(1, 1, 1, 1)),
    "conv, depthwise": lambda d: _conv(d, group=4),
    "conv, one pixel": lambda d: d.conv("x", _numbers(5, 4, 1, 1)),
    "conv, one pixel, groups": lambda d: d.conv("x", _numbers(6, 2, 1, 1), group=2),
    "conv, one pixel, strides": lambda d: d.conv("x", _numbers(5, 4, 1, 1), strides=(2, 2)),
    "average": lambda d: d.pool("AveragePool", "x", (2, 3), (2, 2), (1, 1, 0, 1), count_include_pad=0),
    "average, pads count": lambda d: d.pool(
        "AveragePool", "x", (2, 3), (2, 2), (1, 1, 0, 1), count_include_pad=1
    ),
    "average, hanging": lambda d: d.pool(
        "AveragePool", "x", (3, 3), (2, 2), extra=(1, 1), count_include_pad=1
    ),
    "average, everything": lambda d: d.pool("AveragePool", "x", (6, 7), (1, 1), count_include_pad=0),
    "average, not reaching the end": lambda d: d.pool(
        "AveragePool", "x", (2, 2), (3, 3), count_include_pad=0
    ),
    "matmul right": lambda d: d.node("MatMul", ["x", d.parameter(_numbers(7, 3))], [4, 6, 3]),
    "matmul right vector": lambda d: d.node("MatMul", ["x", d.parameter(_numbers(7))], [4, 6]),
    "matmul left": lambda d: d.node("MatMul", [d.parameter(_numbers(3, 6)), "x"], [4, 3, 7]),
    "matmul left vector": lambda d: d.node("MatMul", [d.parameter(_numbers(6)), "x"], [4, 7]),
    "sub from": lambda d: d.node("Sub", [d.parameter(_numbers(4, 1, 7)), "x"], [4, 6, 7]),
    "add wider": lambda d: d.node("Add", ["x", d.parameter(_numbers(2, 4, 6, 7))], [2, 4, 6, 7]),
    "mul": lambda d: d.node("Mul", [d.parameter(_numbers(1)), "x"], [4, 6, 7]),
    "div": lambda d: d.same("Div", "x", _numbers(4, 1, 1)),
    "gather": lambda d: d.node("Gather", ["x"], [4, 5, 7], axis=1, indices=(3, 0, 3, 5, 1)),
    "gather, channels": lambda d: d.node("Gather", ["x"], [2, 6, 7], axis=0, indices=(3, 1)),
    "gather, reversed": lambda d: d.gemm(
        d.flat(d.node("Gather", ["x"], [4, 6, 7], axis=2, indices=(6, 5, 4, 3, 2, 1, 0))), _numbers(3, 168)
    ),
    "gather, turned": lambda d: d.node(
        "Gather", [d.node("Transpose", ["x"], [7, 4, 6], perm=(2, 0, 1))], [7, 1, 6], axis=1, indices=(2,)
    ),
    "sum": lambda d: d.node("ReduceSum", ["x"], [4, 7], axes=(1,)),
    "sum, image": lambda d: d.node("ReduceSum", ["x"], [4], axes=(1, 2)),
    "sum, everything": lambda d: d.reshape(d.node("ReduceSum", ["x"], [], axes=(0, 1, 2)), 1),
    "sum, turned": lambda d: d.node(
        "ReduceSum", [d.node("Transpose", ["x"], [7, 4, 6], perm=(2, 0, 1))], [7, 6], axes=(1,)
    ),
    "pad": lambda d: d.node("Pad", ["x"], [5, 7, 10], pads=(1, 0, 1, 0, 1, 2), value=0.5),
    "crop": lambda d: d.node("Pad", ["x"], [4, 4, 8], pads=(0, -1, 1, 0, -1, 0), value=0.5),
    "norm": lambda d: d.same(
        "BatchNormalization", "x", *(np.abs(_numbers(4)) for _ in range(4)), epsilon=1e-3
    ),
    "turn": lambda d: d.gemm(d.flat(d.node("Transpose", ["x"], [7, 4, 6], perm=(2, 0, 1))), _numbers(3, 168)),
    "concat": lambda d: d.node("Concat", ["x", d.parameter(_numbers(4, 2, 7)), "x"], [4, 14, 7], axis=1),
    "difference of two shapes": lambda d: d.node(
        "Sub", [d.pool("AveragePool", "x", (6, 7), (1, 1), count_include_pad=1), "x"], [4, 6, 7]
    ),
}


@pytest.mark.parametrize("name", DRAFTS)
def test_an_affine_operator_agrees_with_the_reference(name):
    draft = Draft(4, 6, 7)
    graph = draft.graph(DRAFTS[name](draft))
    ends = np.random.default_rng(1).standard_normal((2, 4, 6, 7))
    curve = trace(graph, line(*ends))
    expected = execute(graph, torch.from_numpy(ends)).flatten(1).numpy()
    assert curve.pieces == 1
    assert (np.abs(curve.scores - expected) <= 2 * curve.radius + 1e-300).all()
    assert curve.radius.max() < 1e-11


@pytest.mark.parametrize("name", DRAFTS)
def test_a_radius_of_the_input_covers_every_input_within_it(name):
    draft = Draft(4, 6, 7)
    graph = draft.graph(DRAFTS[name](draft))
    rng = np.random.default_rng(2)
    centre = rng.standard_normal((4, 6, 7))
    radius = trace(graph, line(centre, centre, radius=0.1)).radius
    middle = execute(graph, torch.from_numpy(centre)[None]).flatten(1).numpy()
    corners = centre + 0.1 * rng.choice([-1.0, 1.0], (200, 4, 6, 7))
    reached = np.abs(execute(graph, torch.from_numpy(corners)).flatten(1).numpy() - middle)
    assert (reached <= radius + 1e-12).all()
    assert reached.max() > 0.2 * radius.max()
