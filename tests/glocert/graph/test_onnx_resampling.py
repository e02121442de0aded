"""Upsample, Resize, DepthToSpace and SpaceToDepth, compared with onnxruntime."""

from __future__ import annotations

from itertools import product

import numpy as np
import onnx
import pytest
import torch

from glocert.errors import InvalidGraph, ModelRejected, ModelTooLarge, UnsupportedOperators
from tests.glocert.graph.exactly import compared, same
from tests.glocert.graph.importing import refusal
from tests.glocert.graph.onnx_models import model, node

torch.set_num_threads(1)
SHAPE = (2, 2, 5, 4)
SCALES = [(1, 1, 2, 2), (1, 1, 1.5, 0.6), (1, 1, 0.5, 3.3), (1, 1, 2.6, 1.9), (1, 2, 0.2, 1)]
COORDINATES = {
    "half_pixel": 11,
    "pytorch_half_pixel": 11,
    "align_corners": 11,
    "asymmetric": 11,
    "half_pixel_symmetric": 19,
}
EMPTY = np.zeros(0, np.float32)


def _scales(values: tuple[float, ...]) -> np.ndarray:
    return np.array(values, np.float32)


def _lengths(scales: tuple[float, ...]) -> np.ndarray:
    return np.array([int(size * scale) for size, scale in zip(SHAPE, scales, strict=True)], np.int64)


def _both(opset: int, scales: tuple[float, ...], attributes: dict[str, object]) -> None:
    """Compare a resize by scales and one to lengths."""
    by_scale = [node("Resize", ["x", "roi", "scales"], "y", **attributes)]
    same(by_scale, {"roi": EMPTY, "scales": _scales(scales)}, shape=SHAPE, opset=opset)
    by_length = [node("Resize", ["x", "roi", "scales", "sizes"], "y", **attributes)]
    tensors = {"roi": EMPTY, "scales": EMPTY, "sizes": _lengths(scales)}
    same(by_length, tensors, shape=SHAPE, opset=opset)


@pytest.mark.parametrize("scales", SCALES[:4])
@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("opset", [11, 13, 19, 23])
def test_nearest(scales: tuple[float, ...], coordinates: str, opset: int) -> None:
    for rounding in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
        attributes = {"coordinate_transformation_mode": coordinates, "nearest_mode": rounding}
        if opset >= COORDINATES[coordinates]:
            _both(opset, scales, attributes)


@pytest.mark.parametrize("scales", SCALES[:4])
@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("opset", [11, 13, 19, 23])
def test_linear_and_cubic(scales: tuple[float, ...], coordinates: str, opset: int) -> None:
    for mode, exclude in (("linear", 0), ("cubic", 0), ("cubic", 1)):
        attributes: dict[str, object] = {"mode": mode, "coordinate_transformation_mode": coordinates}
        if mode == "cubic":
            attributes |= {"exclude_outside": exclude, "cubic_coeff_a": -0.5}
        if opset >= COORDINATES[coordinates]:
            _both(opset, scales, attributes)


@pytest.mark.parametrize(("mode", "scales"), list(product(["nearest", "linear"], SCALES[:4])))
def test_the_forms_of_old_opsets(mode: str, scales: tuple[float, ...]) -> None:
    tensors = {"scales": _scales(scales)}
    same([node("Resize", ["x", "scales"], "y", mode=mode)], tensors, shape=SHAPE, opset=10)
    if min(scales) >= 1:
        same([node("Upsample", ["x", "scales"], "y", mode=mode)], tensors, shape=SHAPE, opset=9)
        as_floats = [float(scale) for scale in scales]
        same([node("Upsample", ["x"], "y", mode=mode, scales=as_floats)], shape=SHAPE, opset=7)


def test_nearest_is_a_selection_and_linear_two_products() -> None:
    tensors = {"scales": _scales((1, 1, 2, 2))}
    graph = same([node("Resize", ["x", "", "scales"], "y")], tensors, shape=SHAPE, opset=18).graph
    assert graph.operators == {"Gather": 2}
    graph = same([node("Resize", ["x", "", "scales"], "y", mode="linear")], tensors, shape=SHAPE).graph
    assert graph.operators == {"MatMul": 2}
    weights = np.concatenate([array.ravel() for array in graph.parameters.values()])
    assert set(weights.tolist()) <= {0.0, 0.25, 0.75, 1.0}


def test_named_axes_keep_the_others() -> None:
    tensors = {"sizes": np.array([7, 9], np.int64)}
    nodes = [node("Resize", ["x", "", "", "sizes"], "y", axes=[3, -2], mode="linear")]
    assert same(nodes, tensors, shape=SHAPE, opset=18).graph.output_shape == (2, 9, 7)


def test_a_signal_and_a_volume() -> None:
    for shape in ((2, 3, 5), (2, 2, 3, 4, 5)):
        scales = _scales((1, 1, *(1.5 for _ in shape[2:])))
        for mode in ("nearest", "linear"):
            nodes = [node("Resize", ["x", "", "scales"], "y", mode=mode)]
            assert compared(model(nodes, {"scales": scales}, shape=shape, opset=13)) is not None


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_channels_and_space(mode: str) -> None:
    same([node("DepthToSpace", ["x"], "y", blocksize=2, mode=mode)], shape=("N", 8, 2, 3))
    same([node("SpaceToDepth", ["x"], "y", blocksize=2)], shape=("N", 2, 4, 6))


@pytest.mark.parametrize(
    ("nodes", "error"),
    [
        ([node("Resize", ["x", "", "batch"], "y")], UnsupportedOperators),
        ([node("Resize", ["x", "", "two"], "y", coordinate_transformation_mode="odd")], UnsupportedOperators),
        ([node("Resize", ["x", "", "two"], "y", nearest_mode="odd")], UnsupportedOperators),
        ([node("Resize", ["x", "", "two"], "y", mode="odd")], UnsupportedOperators),
        ([node("Resize", ["x", "", "two"], "y", mode="linear", antialias=1)], UnsupportedOperators),
        ([node("Resize", ["x"], "y")], UnsupportedOperators),
        ([node("Resize", ["x", "", "short"], "y")], InvalidGraph),
        ([node("Resize", ["x", "", "negative"], "y")], InvalidGraph),
        ([node("Resize", ["x", "", "huge"], "y")], ModelTooLarge),
        ([node("Resize", ["x", "", "huge"], "y", mode="linear")], ModelTooLarge),
        ([node("DepthToSpace", ["x"], "y", blocksize=2)], InvalidGraph),
        ([node("SpaceToDepth", ["x"], "y", blocksize=3)], InvalidGraph),
    ],
)
def test_what_cannot_be_resized_is_refused_by_name(
    nodes: list[onnx.NodeProto], error: type[ModelRejected]
) -> None:
    tensors = {
        "two": _scales((1, 1, 2, 2)),
        "batch": _scales((2, 1, 2, 2)),
        "short": _scales((1, 2)),
        "negative": _scales((1, 1, -2, 2)),
        "huge": _scales((1, 1, 1e9, 2)),
    }
    assert refusal(error, model(nodes, tensors, shape=SHAPE, opset=18)).offences[0].where == "make y"
