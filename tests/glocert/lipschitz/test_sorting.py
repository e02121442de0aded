"""MinMax in the graph is recognised, and nothing that only looks like it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glocert.graph.builder import GraphBuilder
from glocert.graph.ir import Graph, Node
from glocert.graph.limits import Limits
from glocert.graph.run import run
from glocert.lipschitz.network import bound
from glocert.lipschitz.sorting import sorts_pairs

HALVES = ((0, 1), (2, 3))


def pairs(
    first: tuple[int, ...] = (0, 1),
    second: tuple[int, ...] = (2, 3),
    larger: tuple[str, str] = ("b", "lead"),
    smaller: tuple[str, str] = ("a", "lead"),
    gap: tuple[str, str] = ("a", "b"),
) -> Graph:
    """Return a graph that sorts pairs, or something close to it."""
    builder = GraphBuilder.start("x", (4,), Limits())
    names: dict[str, str] = {}

    def add(name: str, operator: str, *inputs: str, **attributes: object) -> None:
        node = Node(name, operator, tuple(names.get(key, key) for key in inputs), name, attributes, operator)  # type: ignore[arg-type]
        names[name] = builder.add(node)

    add("a", "Gather", "x", axis=0, indices=first)
    add("b", "Gather", "x", axis=0, indices=second)
    add("gap", "Sub", *gap)
    add("lead", "Relu", "gap")
    add("larger", "Add", *larger)
    add("smaller", "Sub", *smaller)
    add("out", "Concat", "larger", "smaller", axis=0)
    return builder.finish(names["out"])


@pytest.mark.parametrize("halves", [((0, 1), (2, 3)), ((0, 2), (1, 3)), ((3, 0), (2, 1))])
def test_sorted_pairs_have_the_constant_one(halves: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    graph = pairs(*halves)
    assert sorts_pairs(graph)
    assert 1.0 <= bound(graph).scores <= 1.0 + 1e-12


def interleaved(first: str = "larger", second: str = "smaller") -> Graph:
    """Return sorted pairs whose halves are put side by side, one pair after the other."""
    graph = pairs()
    builder = GraphBuilder.start("x", (4,), Limits())
    for node in graph.nodes[:-1]:
        builder.add(node)
    columns = [
        builder.add(Node(f"c{place}", "Reshape", (name,), f"c{place}", {"shape": (2, 1)}, "Reshape"))
        for place, name in enumerate((first, second))
    ]
    builder.add(Node("both", "Concat", tuple(columns), "both", {"axis": 1}, "Concat"))
    return builder.finish("both")


def test_sorted_pairs_may_be_arranged_anew() -> None:
    assert sorts_pairs(interleaved())
    assert sorts_pairs(interleaved("smaller", "larger"))
    assert not sorts_pairs(interleaved("larger", "larger"))
    assert not sorts_pairs(interleaved("larger", "lead"))
    assert not sorts_pairs(interleaved("larger", "a"))


def pooled(
    kernel: tuple[int, int] = (1, 2),
    strides: tuple[int, int] = (1, 2),
    signs: tuple[float, float, float] = (-1.0, -1.0, 1.0),
    turned: bool = False,
    size: int = 8,
) -> Graph:
    """Return largest and smallest of neighbours as two maxima, or something close to it."""
    builder = GraphBuilder.start("x", (size,), Limits())

    def add(name: str, operator: str, source: str, **attributes: object) -> str:
        return builder.add(Node(name, operator, (source,), name, attributes, operator))  # type: ignore[arg-type]

    def times(name: str, source: str, factor: float) -> str:
        weight = builder.parameter(np.array(factor, np.float32), f"{name}.factor")
        return builder.add(Node(name, "Mul", (source, weight), name, {}, "Mul"))

    def largest(name: str, source: str, shape: tuple[int, int, int]) -> str:
        view = add(f"{name}.view", "Reshape", source, shape=shape)
        pads, dilations = (0, 0, 0, 0), (1, 1)
        pool = add(
            f"{name}.pool", "MaxPool", view,
            kernel_shape=kernel, strides=strides, pads=pads, dilations=dilations,
        )  # fmt: skip
        count = int(np.prod(builder.shapes[pool]))
        return add(f"{name}.flat", "Reshape", pool, shape=(count,))

    plain = (1, 2, size // 2)
    upper = times("upper", largest("max", "x", plain), signs[2])
    other = (2, 1, size // 2) if turned else plain
    lower = times("lower", largest("min", times("negative", "x", signs[0]), other), signs[1])
    builder.add(Node("out", "Concat", (upper, lower), "out", {"axis": 0}, "Concat"))
    return builder.finish("out")


@pytest.mark.parametrize("graph", [pooled(), pooled((2, 1), (1, 1)), pooled((2, 1), (2, 1))])
def test_two_maxima_over_pairs_sort_them(graph: Graph) -> None:
    assert sorts_pairs(graph)
    assert 1.0 <= bound(graph).scores <= 1.0 + 1e-12
    x = torch.randn(2, 500, 8, dtype=torch.float64)
    y = [run(graph, half) for half in x]
    assert ((y[0] - y[1]).norm(dim=1) <= (x[0] - x[1]).norm(dim=1) * (1 + 1e-12)).all()
    assert torch.equal(y[0].sort(1).values, x[0].sort(1).values)


@pytest.mark.parametrize(
    "graph",
    [
        pooled((1, 2), (1, 1)),
        pooled((1, 4), (1, 4)),
        pooled((1, 2), (1, 2), (1.0, 1.0, 1.0)),
        pooled((1, 2), (1, 2), (-1.0, 1.0, 1.0)),
        pooled((1, 2), (1, 2), (-1.0, -1.0, -1.0)),
        pooled((1, 2), (1, 2), (-2.0, -1.0, 1.0)),
        pooled((1, 2), (1, 2), turned=True),
        pooled((1, 2), (1, 2), size=10),
    ],
    ids=[
        "overlap",
        "four",
        "twice the largest",
        "not back",
        "turned over",
        "scaled",
        "other view",
        "left out",
    ],
)
def test_other_pairs_of_maxima_do_not(graph: Graph) -> None:
    assert not sorts_pairs(graph)


@pytest.mark.parametrize(
    "graph",
    [
        pairs(first=(0, 1), second=(1, 2)),
        pairs(larger=("a", "lead")),
        pairs(smaller=("b", "lead")),
        pairs(gap=("b", "a")),
        pairs(gap=("a", "a")),
    ],
    ids=["overlap", "wrong half for max", "wrong half for min", "gap the other way", "gap of one half"],
)
def test_what_only_looks_like_it_is_not(graph: Graph) -> None:
    """Each of these stretches some distance by more than one."""
    assert not sorts_pairs(graph)
    assert bound(graph).scores > 1.1
