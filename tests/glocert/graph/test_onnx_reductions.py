"""Sums, means and extremes over axes, and Einsum, compared with onnxruntime."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from glocert.errors import UnsupportedOperators
from tests.glocert.graph.exactly import same
from tests.glocert.graph.importing import refusal
from tests.glocert.graph.onnx_models import model, node, weights

torch.set_num_threads(1)
SHAPE = ("N", 3, 4, 5)
KINDS = ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"]


def _as_input(kind: str, opset: int) -> bool:
    return opset >= 18 or (kind == "ReduceSum" and opset >= 13)


@pytest.mark.parametrize(("kind", "opset"), list(product(KINDS, [7, 11, 13, 18, 20])))
@pytest.mark.parametrize("double", [False, True])
def test_reductions_over_axes(kind: str, opset: int, double: bool) -> None:
    for axes, keep in product(([1], [2, 3], [-1, 1], [1, 2, 3]), (0, 1)):
        if _as_input(kind, opset):
            nodes = [node(kind, ["x", "axes"], "y", keepdims=keep)]
            tensors = {"axes": np.array(axes, np.int64)}
        else:
            positive = [axis % 4 for axis in axes] if opset < 11 else axes
            nodes, tensors = [node(kind, ["x"], "y", keepdims=keep, axes=positive)], {}
        same(nodes, tensors, shape=SHAPE, opset=opset, double=double)


def test_a_mean_divides_by_the_exact_count() -> None:
    graph = same([node("ReduceMean", ["x"], "y", axes=[1, 3], keepdims=0)], shape=SHAPE).graph
    assert graph.operators == {"Div": 1, "ReduceSum": 1}
    (count,) = graph.parameters.values()
    assert count == 15.0


def test_an_extreme_is_one_window() -> None:
    graph = same([node("ReduceMax", ["x"], "y", axes=[1, 3])], shape=SHAPE).graph
    assert graph.operators["MaxPool"] == 1
    assert not graph.parameters


def test_no_axes_mean_all_or_none() -> None:
    assert not same([node("ReduceSum", ["x"], "y", noop_with_empty_axes=1)], shape=SHAPE).graph.nodes
    for kind in KINDS:
        error = refusal(UnsupportedOperators, model([node(kind, ["x"], "y")], shape=SHAPE))
        assert error.offences[0].where == "make y"
        assert "batch" in error.offences[0].detail


@pytest.mark.parametrize("axes", [[0], [0, 1], [-4]])
def test_the_batch_is_never_reduced(axes: list[int]) -> None:
    for kind in KINDS:
        proto = model([node(kind, ["x"], "y", axes=axes)], shape=SHAPE, opset=11)
        assert "batch" in refusal(UnsupportedOperators, proto).offences[0].detail


@pytest.mark.parametrize(
    ("equation", "shape", "constant"),
    [
        ("bij,jk->bik", ("N", 3, 4), (4, 5)),
        ("bij,kj->bki", ("N", 3, 4), (5, 4)),
        ("bijk,jl->bikl", ("N", 3, 4, 2), (4, 5)),
        ("bij,ij->bij", ("N", 3, 4), (3, 4)),
        ("bij,ij->bi", ("N", 3, 4), (3, 4)),
        ("bij,jkl->bikl", ("N", 3, 4), (4, 2, 3)),
        ("...i,ij->...j", ("N", 3, 4), (4, 2)),
        ("bhid,hde->bhie", ("N", 2, 3, 4), (2, 4, 5)),
        ("bij,ik->bjk", ("N", 3, 4), (3, 5)),
        ("bi,i->b", ("N", 3), (3,)),
        ("bi,j->bij", ("N", 3), (4,)),
        ("bijk,kj->bk", ("N", 3, 4, 2), (2, 4)),
        ("bij->bji", ("N", 3, 4), None),
        ("bij->bi", ("N", 3, 4), None),
        ("bij -> b", ("N", 3, 4), None),
        ("bij,bkj->bik", ("N", 3, 4), ()),
        ("bhid,bhjd->bhij", ("N", 2, 3, 4), ()),
        ("bi,bj->bij", ("N", 3), ()),
        ("bij,bij->b", ("N", 3, 3), ()),
        ("bij,bij->bi", ("N", 3, 3), ()),
    ],
)
def test_einsum(equation: str, shape: tuple[int | str, ...], constant: tuple[int, ...] | None) -> None:
    """``constant`` is the shape of a second operand; () stands for the input once more."""
    second = [] if constant is None else ["x"] if constant == () else ["W"]
    tensors = {"W": weights(*constant)} if constant else {}
    same([node("Einsum", ["x", *second], "y", equation=equation)], tensors, shape=shape)


def test_einsum_with_the_constant_first() -> None:
    same([node("Einsum", ["W", "x"], "y", equation="kj,bij->bik")], {"W": weights(5, 4)}, shape=("N", 3, 4))


@pytest.mark.parametrize(
    ("equation", "inputs"),
    [
        ("bij->ij", ["x"]),
        ("bij->jib", ["x"]),
        ("bij,bij->ij", ["x", "x"]),
        ("bij,cij->bc", ["x", "x"]),
        ("bij,bj->ij", ["x", "W"]),
        ("bij,bj->bi", ["x", "W"]),
        ("bii->bi", ["x"]),
        ("bij,kl->bij", ["x", "W"]),
        ("bij,ij,ij->b", ["x", "W", "W"]),
        ("bij,jk", ["x"]),
        ("bi->bi", ["x"]),
        ("bij->bik", ["x"]),
        ("b1j->bj", ["x"]),
    ],
)
def test_what_einsum_cannot_say_per_sample_is_refused(equation: str, inputs: list[str]) -> None:
    nodes = [node("Einsum", inputs, "y", equation=equation)]
    error = refusal(UnsupportedOperators, model(nodes, {"W": weights(3, 3)}, shape=("N", 3, 3)))
    assert error.offences[0].where == "make y"
