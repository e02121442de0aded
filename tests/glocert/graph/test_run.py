"""Reference execution and export, on graphs written out by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glocert.graph.builder import GraphBuilder
from glocert.graph.export import to_onnx
from glocert.graph.ir import Attribute, Graph, Node
from glocert.graph.limits import Limits
from glocert.graph.run import run

torch.set_num_threads(1)


def graph_of(
    shape: Sequence[int],
    operator: str,
    inputs: Sequence[str],
    parameters: Mapping[str, np.ndarray] | None = None,
    attributes: Mapping[str, Attribute] | None = None,
    *,
    ceil: bool = False,
) -> Graph:
    """One node over the input ``x``, and ``r`` = Relu(x) where it is asked for."""
    builder = GraphBuilder.start("x", tuple(shape), Limits())
    for name, array in (parameters or {}).items():
        builder.parameter(array, name)
    if "r" in inputs:
        builder.add(Node("r", "Relu", ("x",), "r"))
    output = builder.add(Node("y", operator, tuple(inputs), "y", attributes or {}), ceil=ceil)
    return builder.finish(output)


def both(graph: Graph, x: np.ndarray) -> np.ndarray:
    """Run in float64 and, exported, in onnxruntime; return the former."""
    ours = run(graph, torch.from_numpy(x.astype(np.float64))).numpy()
    session = onnxruntime.InferenceSession(to_onnx(graph))
    (theirs,) = session.run(None, {session.get_inputs()[0].name: x.astype(np.float32)})
    assert theirs.shape == ours.shape == (len(x), *graph.output_shape)
    np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-5)
    return ours


def counting(*shape: int) -> np.ndarray:
    return np.arange(1, 1 + np.prod(shape), dtype=np.float64).reshape(shape)


def average(pads: tuple[int, ...], include: int, *, ceil: bool, size: int = 3, stride: int = 2) -> np.ndarray:
    attributes = {"kernel_shape": (1, 2), "strides": (1, stride), "pads": pads, "count_include_pad": include}
    return both(
        graph_of((1, 1, size), "AveragePool", ["x"], None, attributes, ceil=ceil), counting(1, 1, 1, size)
    )


def test_the_divisor_of_a_mean_counts_positions_inside() -> None:
    np.testing.assert_allclose(average((0, 0, 0, 0), 1, ceil=False)[0, 0, 0], [1.5])
    # The last window hangs out by one position, which is no padding: it counts for nobody.
    np.testing.assert_allclose(average((0, 0, 0, 0), 1, ceil=True)[0, 0, 0], [1.5, 3.0])
    np.testing.assert_allclose(average((0, 1, 0, 0), 1, ceil=False)[0, 0, 0], [0.5, 2.5])
    np.testing.assert_allclose(average((0, 1, 0, 0), 0, ceil=False)[0, 0, 0], [1.0, 2.5])
    np.testing.assert_allclose(average((0, 0, 0, 1), 1, ceil=False)[0, 0, 0], [1.5, 1.5])


def test_padding_never_wins_a_maximum() -> None:
    attributes = {"kernel_shape": (1, 2), "strides": (1, 2), "pads": (0, 1, 0, 0), "dilations": (1, 1)}
    graph = graph_of((1, 1, 4), "MaxPool", ["x"], None, attributes, ceil=True)
    np.testing.assert_allclose(both(graph, -counting(1, 1, 1, 4))[0, 0, 0], [-1, -2, -4])


def test_a_dilated_window_may_hang_out_further_than_a_kernel_is_long() -> None:
    attributes = {"kernel_shape": (1, 2), "strides": (1, 2), "pads": (0, 0, 0, 1), "dilations": (1, 2)}
    graph = graph_of((1, 1, 3), "MaxPool", ["x"], None, attributes, ceil=True)
    np.testing.assert_allclose(both(graph, counting(1, 1, 1, 3))[0, 0, 0], [3, 3])


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ((3,), (3, 2), (2,)),
        ((3,), (3,), ()),
        ((2, 3), (3, 4), (2, 4)),
        ((2, 3), (3,), (2,)),
        ((4, 2, 3), (3, 2), (4, 2, 2)),
    ],
)
@pytest.mark.parametrize("swap", [False, True])
def test_matrix_products_follow_numpy_sample_by_sample(
    left: tuple[int, ...], right: tuple[int, ...], expected: tuple[int, ...], swap: bool
) -> None:
    rng = np.random.default_rng(1)
    if swap:  # the constant on the left: transposed shapes make it fit
        left, right = right[::-1], (*left[:-2], *left[: -3 if len(left) > 2 else None : -1][::1])
        left, right = tuple(left), tuple(right)
        constant, variable = rng.normal(size=left), rng.normal(size=(5, *right))
        reference = np.stack([constant @ sample for sample in variable])
        graph = graph_of(right, "MatMul", ["P", "x"], {"P": constant})
    else:
        constant, variable = rng.normal(size=right), rng.normal(size=(5, *left))
        reference = np.stack([sample @ constant for sample in variable])
        graph = graph_of(left, "MatMul", ["x", "P"], {"P": constant})
        assert graph.output_shape == expected
    np.testing.assert_allclose(both(graph, variable), reference)
    one = variable[:1]
    np.testing.assert_allclose(both(graph, one), reference[:1])


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (2, 1), (4, 2, 3)])
def test_parameters_broadcast_against_the_shape_of_a_sample(operator: str, shape: tuple[int, ...]) -> None:
    constant = np.random.default_rng(2).random(shape) + 0.5
    x = np.random.default_rng(3).normal(size=(5, 2, 3))
    graph = graph_of((2, 3), operator, ["x", "P"], {"P": np.asarray(constant)})
    function = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide}[operator]
    np.testing.assert_allclose(both(graph, x), np.stack([function(sample, constant) for sample in x]))


def test_constants_join_every_sample() -> None:
    constant = counting(2, 1)
    graph = graph_of((2, 3), "Concat", ["P", "x", "r", "P"], {"P": constant}, {"axis": 1})
    x = np.random.default_rng(4).normal(size=(3, 2, 3))
    expected = np.stack([np.hstack([constant, sample, np.maximum(sample, 0), constant]) for sample in x])
    np.testing.assert_allclose(both(graph, x), expected)


def test_pads_name_begins_before_ends() -> None:
    graph = graph_of((1, 2), "Pad", ["x"], None, {"pads": (0, 1, 1, 0), "value": 9.0})
    np.testing.assert_allclose(both(graph, counting(1, 1, 2))[0], [[9, 1, 2], [9, 9, 9]])


def test_open_bounds_of_a_clip_bound_nothing() -> None:
    x = np.array([[-1e9, -2.0, 0.0, 2.0, 1e9]])
    graph = graph_of((5,), "Clip", ["x"], None, {"min": -np.inf, "max": 1.0})
    np.testing.assert_allclose(both(graph, x)[0], [-1e9, -2, 0, 1, 1])


@given(st.integers(1, 5), st.sampled_from([torch.float32, torch.float64]))
def test_the_input_is_not_changed_and_its_type_is_kept(samples: int, dtype: torch.dtype) -> None:
    graph = graph_of((3,), "LeakyRelu", ["x"], None, {"alpha": 0.5})
    x = torch.randn(samples, 3, dtype=dtype)
    copy = x.clone()
    assert run(graph, x).dtype == dtype
    assert torch.equal(x, copy)


def test_another_shape_is_refused() -> None:
    graph = graph_of((3,), "Relu", ["x"])
    with pytest.raises(ValueError, match="expected"):
        run(graph, torch.zeros(2, 4))


def test_the_export_is_valid_onnx_and_always_the_same() -> None:
    graph = graph_of((2, 3), "Mul", ["x", "P"], {"P": counting(3) / 3})
    data = to_onnx(graph)
    assert data == to_onnx(Graph.from_bytes(graph.to_bytes()))
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)


def test_a_parameter_beyond_float32_is_not_exported() -> None:
    graph = graph_of((1,), "Mul", ["x", "P"], {"P": np.array([1e300])})
    with pytest.raises(ValueError, match="does not fit"):
        to_onnx(graph)
