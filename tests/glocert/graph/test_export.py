"""Every canonical operator, written as ONNX and run by onnxruntime, computes what ``run`` computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
import pytest
import torch

from glocert.graph.builder import GraphBuilder
from glocert.graph.export import to_onnx
from glocert.graph.families import COUPLED, FUNCTIONS
from glocert.graph.ir import Attribute, Graph, Node
from glocert.graph.limits import Limits
from glocert.graph.onnx_runtime import original
from glocert.graph.run import _STEPS, run
from tests.glocert.graph.onnx_models import weights

torch.set_num_threads(1)

POSITIVE = frozenset({"Log", "Sqrt", "Reciprocal"})


@dataclass(frozen=True)
class Case:
    """One node.

    Attributes:
        operator: canonical.
        shape: per-sample shape of ``x``.
        inputs: ``x``, ``y`` (x reshaped to ``other``) and names of ``parameters``.
        attributes: canonical.
        parameters: arrays by name.
        other: per-sample shape of ``y``.
        positive: whether the function is defined for numbers above zero only.
    """

    operator: str
    shape: tuple[int, ...] = (4,)
    inputs: tuple[str, ...] = ("x",)
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    parameters: Mapping[str, np.ndarray] = field(default_factory=dict)
    other: tuple[int, ...] = ()
    positive: bool = False

    def __str__(self) -> str:
        given = [self.operator, *map(str, (self.shape, self.other, *self.attributes.values()))]
        return " ".join([*given, *(str(array.shape) for array in self.parameters.values())])


def _graph(case: Case) -> Graph:
    builder = GraphBuilder.start("x", case.shape, Limits())
    for name, array in case.parameters.items():
        builder.parameter(array, name)
    if "y" in case.inputs:
        builder.add(Node("mirror", "Reshape", ("x",), "y", {"shape": case.other}))
    output = builder.add(Node("case", case.operator, case.inputs, "z", case.attributes))
    return builder.finish(output)


def _inputs(case: Case, rows: int) -> np.ndarray:
    x = np.random.default_rng(5).normal(size=(rows, *case.shape)).astype(np.float32) * 3
    x[-1] = 0.0
    return np.abs(x) + np.float32(0.25) if case.positive else x


SHAPES = [(1,), (5,), (2, 3), (1, 2, 3, 2)]
ELEMENTWISE = [
    Case(name, shape, attributes=attributes, positive=name in POSITIVE)
    for name, attributes in [
        *((name, {}) for name, keys in FUNCTIONS.items() if not keys),
        ("Elu", {"alpha": 1.0}),
        ("Elu", {"alpha": 0.3}),
        ("Gelu", {"approximate": "none"}),
        ("Gelu", {"approximate": "tanh"}),
        ("Relu", {}),
        ("LeakyRelu", {"alpha": 0.1}),
        ("LeakyRelu", {"alpha": -1.0}),
        ("Clip", {"min": -0.5, "max": 1.0}),
        ("Clip", {"min": -np.inf, "max": 1.0}),
        ("Clip", {"min": 0.25, "max": np.inf}),
        ("Pow", {"exponent": 2.0}),
        ("Pow", {"exponent": 3.0}),
    ]
    for shape in SHAPES
]
POWERS = [
    Case("Pow", attributes={"exponent": exponent}, positive=True) for exponent in (-0.5, -2.0, 0.3, 1.5)
]
PAIRS = [
    Case(kind, shape, ("x", "y"), other=other)
    for kind in ("Add", "Sub", "Mul")
    for shape, other in [
        ((4,), (4,)),
        ((6,), (2, 3, 1)),
        ((6, 1, 1), (6,)),
        ((2, 3), (2, 1, 3)),
        ((1,), (1, 1)),
    ]
]
WITH_PARAMETERS = [
    Case(kind, (2, 3), inputs, parameters={"P": weights(*size)})
    for kind in ("Add", "Sub", "Mul", "Div")
    for inputs in (("x", "P"), ("P", "x"))
    for size in ((), (3,), (2, 1), (4, 1, 3))
    if (kind, inputs) != ("Div", ("P", "x"))
]
PRODUCTS = [
    *(
        Case("MatMul", shape, ("x", "P"), parameters={"P": weights(*size)})
        for shape, size in [((3,), (3, 2)), ((3,), (3,)), ((2, 3), (3,)), ((2, 2, 3), (3, 4)), ((1,), (1, 1))]
    ),
    *(
        Case("MatMul", shape, ("P", "x"), parameters={"P": weights(*size)})
        for shape, size in [((3,), (2, 3)), ((3,), (3,)), ((3, 2), (3,)), ((2, 3, 4), (5, 3)), ((1,), (1, 1))]
    ),
    *(
        Case("MatMul", shape, ("x", "y"), other=other)
        for shape, other in [
            ((6,), (6,)),
            ((6,), (6, 1)),
            ((1, 6), (6,)),
            ((2, 3), (3, 2)),
            ((2, 2, 3), (2, 3, 2)),
            ((4,), (1, 4, 1)),
            ((2, 1, 2), (2, 2)),
            ((2, 2), (2, 2, 1)),
            ((1, 2, 2, 1), (2, 1, 2)),
        ]
    ),
    Case("Gemm", (4,), ("x", "W"), parameters={"W": weights(3, 4)}),
    Case("Gemm", (4,), ("x", "W", "b"), parameters={"W": weights(1, 4), "b": weights(1)}),
]
MOVES = [
    Case("Reshape", (2, 3), attributes={"shape": (3, 1, 2)}),
    Case("Transpose", (2, 3, 4), attributes={"perm": (2, 0, 1)}),
    Case("Gather", (4,), attributes={"axis": 0, "indices": (3, 0, 0)}),
    Case("Gather", (2, 3), attributes={"axis": 1, "indices": (1,)}),
    Case("Gather", (1, 3, 2), attributes={"axis": 0, "indices": (0, 0)}),
    Case("Concat", (2, 3), ("x", "y"), {"axis": 1}, other=(2, 3)),
    Case("Concat", (2, 3), ("P", "x", "y", "P"), {"axis": 0}, {"P": weights(1, 3)}, other=(2, 3)),
    Case("Pad", (2, 3), attributes={"pads": (1, 0, 0, 2), "value": 1.5}),
    Case("Pad", (4,), attributes={"pads": (0, 3), "value": 0.0}),
]
SUMS = [
    Case("ReduceSum", shape, attributes={"axes": axes})
    for shape, axes in [((4,), (0,)), ((1,), (0,)), ((2, 3, 4), (0, 2)), ((2, 3, 4), (1,)), ((2, 3), (0, 1))]
]
SOFTMAXES = [
    Case("Softmax", shape, attributes={"axis": axis})
    for shape, axis in [((4,), 0), ((1,), 0), ((2, 3), 0), ((2, 3), 1), ((2, 1, 3), 1), ((2, 2, 2, 3), 2)]
]
SPATIAL: list[Case] = [
    Case(
        "Conv",
        (2, 5, 4),
        ("x", "W", "b"),
        {"strides": (2, 1), "pads": (1, 0, 0, 2), "dilations": (1, 2), "group": 1},
        {"W": weights(3, 2, 2, 2), "b": weights(3)},
    ),
    Case(
        "Conv",
        (4, 3, 3),
        ("x", "W"),
        {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1), "group": 2},
        {"W": weights(4, 2, 1, 3)},
    ),
    Case(
        "BatchNormalization",
        (3, 2, 2),
        ("x", "s", "b", "m", "v"),
        {"epsilon": 1e-3},
        {"s": weights(3), "b": weights(3, 1)[:, 0], "m": weights(1, 3)[0], "v": np.abs(weights(3)) + 0.1},
    ),
    Case(
        "MaxPool",
        (2, 5, 5),
        attributes={"kernel_shape": (2, 3), "strides": (2, 2), "pads": (0, 1, 1, 1), "dilations": (2, 1)},
    ),
    *(
        Case(
            "AveragePool",
            (2, 5, 4),
            attributes={
                "kernel_shape": (2, 3),
                "strides": (2, 1),
                "pads": (1, 1, 0, 1),
                "count_include_pad": included,
            },
        )
        for included in (0, 1)
    ),
]
CASES = [
    *ELEMENTWISE,
    *POWERS,
    *PAIRS,
    *WITH_PARAMETERS,
    *PRODUCTS,
    *MOVES,
    *SUMS,
    *SOFTMAXES,
    *SPATIAL,
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_onnxruntime_computes_what_the_graph_computes(case: Case) -> None:
    graph = _graph(case)
    data = to_onnx(graph)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    compute = original(data, graph.output)
    for rows in (1, 3):
        x = _inputs(case, rows)
        ours = run(graph, torch.from_numpy(x))
        theirs = torch.from_numpy(np.asarray(compute(x)))
        assert ours.shape == (rows, *graph.output_shape)
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_every_canonical_operator_has_a_case() -> None:
    assert {case.operator for case in CASES} == set(_STEPS)
    assert set(FUNCTIONS) | COUPLED <= set(_STEPS)


def test_equal_graphs_give_equal_bytes() -> None:
    case = Case("MatMul", (2, 2), ("x", "y"), other=(2, 2, 1))
    assert to_onnx(_graph(case)) == to_onnx(_graph(case))
