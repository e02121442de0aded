"""Every transfer alone on random forms with errors of their own, against exact arithmetic."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glocert.forms.form import Form
from glocert.forms.ops.convolution import windows_of
from glocert.forms.ops.registry import REGISTRY, Site
from glocert.graph.ir import Graph
from tests.glocert.forms.exactness import ROWS, apply, model, outside, random_form, worst_of_node
from tests.glocert.segments.networks import Draft, Wild
from tests.glocert.segments.rational import exactly

F32 = np.float32
DTYPES = [torch.float64, torch.float32]


@settings(max_examples=60)
@given(st.integers(0, 10**9), st.booleans(), st.integers(1, 3), st.sampled_from(DTYPES))
def test_nodes_of_random_networks(seed, whole, slopes, dtype):
    rng = np.random.default_rng(seed)
    graph = Wild(rng, whole).build(int(rng.integers(1, 4)))
    for node in graph.nodes:
        assert worst_of_node(rng, graph, node, slopes, whole, dtype) <= 1.0, node.operator


def test_random_networks_have_every_operator():
    seen: Counter[str] = Counter()
    for seed in range(150):
        rng = np.random.default_rng(seed)
        seen.update(Wild(rng).build(int(rng.integers(1, 4))).operators)
    assert set(seen) >= {
        *("Add", "Sub", "Mul", "Div", "MatMul", "Gemm", "Conv", "BatchNormalization", "Relu", "LeakyRelu"),
        *("Clip", "MaxPool", "AveragePool", "Reshape", "Transpose", "Concat", "Pad"),
    }
    assert set(seen) <= set(REGISTRY)


def single(draft: Draft, output: str) -> Graph:
    return draft.graph(output)


def gathered() -> Graph:
    draft = Draft(2, 4)
    return single(draft, draft.node("Gather", ["x"], [2, 5], axis=1, indices=(3, 0, 0, 2, 1)))


def summed(axes: tuple[int, ...]) -> Graph:
    draft = Draft(2, 3, 4)
    shape = [size for axis, size in enumerate((2, 3, 4)) if axis not in axes]
    return single(draft, draft.node("ReduceSum", ["x"], shape, axes=axes))


def padded(pads: tuple[int, ...], value: float) -> Graph:
    draft = Draft(3, 4)
    shape = [size + pads[i] + pads[i + 2] for i, size in enumerate((3, 4))]
    return single(draft, draft.node("Pad", ["x"], shape, pads=pads, value=value))


def sum_of_shapes(operator: str, first: tuple[int, ...], second: tuple[int, ...]) -> Graph:
    draft = Draft(*first)
    size = int(np.prod(second))
    weight = np.random.default_rng(1).standard_normal((size, int(np.prod(first))))
    y = draft.reshape(draft.gemm(draft.flat("x"), weight), *second)
    shape = np.broadcast_shapes(first, second)
    return single(draft, draft.node(operator, ["x", y], shape))


def multiplied(left: tuple[int, ...], right: tuple[int, ...], weight_first: bool) -> Graph:
    draft = Draft(*(right if weight_first else left))
    values = np.random.default_rng(2).standard_normal(left if weight_first else right)
    name = draft.parameter(values.astype(F32))
    inputs = [name, "x"] if weight_first else ["x", name]
    shape = np.matmul(np.zeros(left), np.zeros(right)).shape
    return single(draft, draft.node("MatMul", inputs, shape))


def grouped(groups: int) -> Graph:
    draft = Draft(4, 5, 6)
    weight = np.random.default_rng(3).standard_normal((8, 4 // groups, 3, 2)).astype(F32)
    x = draft.conv("x", weight, np.ones(8), (2, 1), (1, 0, 2, 1), (1, 2), groups)
    return single(draft, x)


def thin(maps: int, kernel: tuple[int, int], pads: tuple[int, ...], dilations: tuple[int, int]) -> Graph:
    """Far fewer maps than channels: the products of every pixel are added up, shifted."""
    draft = Draft(8, 5, 6)
    weight = np.random.default_rng(4).standard_normal((maps, 8, *kernel)).astype(F32)
    return single(draft, draft.conv("x", weight, np.ones(maps), pads=pads, dilations=dilations))


THIN = {
    "thin convolution": thin(1, (3, 2), (0, 0, 0, 0), (1, 1)),
    "thin padded convolution": thin(1, (3, 3), (1, 2, 0, 1), (1, 1)),
    "thin dilated convolution": thin(2, (2, 3), (2, 0, 1, 3), (2, 2)),
    "thin kernel of one pixel": thin(2, (1, 1), (0, 0, 0, 0), (1, 1)),
    "thin kernel with wide pads": thin(1, (2, 2), (1, 1, 1, 1), (4, 4)),
    "thin kernel in its pads": thin(1, (1, 2), (1, 0, 0, 2), (1, 1)),
}


def kinked(operator: str, **attributes: float) -> Graph:
    draft = Draft(40)
    return single(draft, draft.same(operator, "x", **attributes))


def largest(kernel, strides, pads, extra=(0, 0), dilations=(1, 1)) -> Graph:
    draft = Draft(2, 5, 6)
    return single(draft, draft.pool("MaxPool", "x", kernel, strides, pads, extra, dilations=dilations))


CASES = {
    "gather": gathered(),
    "sum of all": summed((0, 1, 2)),
    "sum of the last": summed((2,)),
    "sum of two": summed((0, 2)),
    "sum of none": summed(()),
    "pad": padded((1, 0, 2, 3), -0.7),
    "cut": padded((-1, 2, 0, -1), 0.1),
    "wider sum": sum_of_shapes("Add", (3, 1, 2), (4, 2)),
    "wider difference": sum_of_shapes("Sub", (2,), (3, 2)),
    "vector times matrix": multiplied((3,), (3, 4), False),
    "vector times vector": multiplied((3,), (3,), False),
    "matrices times matrix": multiplied((2, 3, 4), (4, 2), False),
    "matrices times vector": multiplied((2, 3, 4), (4,), False),
    "matrix times vector": multiplied((5, 3), (3,), True),
    "matrix times matrices": multiplied((5, 3), (2, 3, 4), True),
    "vector times matrices": multiplied((3,), (2, 3, 4), True),
    "grouped convolution": grouped(2),
    "depthwise convolution": grouped(4),
    "dilated convolution": grouped(1),
    **{name: graph for name, graph in THIN.items() if name != "thin kernel in its pads"},
    "relu": kinked("Relu"),
    "leaky": kinked("LeakyRelu", alpha=0.1),
    "absolute": kinked("LeakyRelu", alpha=-1.0),
    "steep": kinked("LeakyRelu", alpha=3.0),
    "leaky without a kink": kinked("LeakyRelu", alpha=1.0),
    "leaky that is a relu": kinked("LeakyRelu", alpha=0.0),
    "clip": kinked("Clip", min=-0.7, max=0.3),
    "clip above": kinked("Clip", min=-float("inf"), max=0.1),
    "clip below": kinked("Clip", min=0.1, max=float("inf")),
    "clip to a point": kinked("Clip", min=0.1, max=0.1),
    "clip nothing": kinked("Clip", min=-float("inf"), max=float("inf")),
    "maxima": largest((2, 2), (2, 2), (0, 0, 0, 0)),
    "overlapping maxima": largest((3, 2), (1, 1), (1, 1, 1, 0)),
    "hanging maxima": largest((3, 3), (2, 2), (0, 1, 0, 0), (0, 1)),
    "dilated maxima": largest((2, 2), (1, 2), (1, 0, 0, 1), dilations=(2, 3)),
    "maxima that end early": largest((2, 2), (3, 4), (0, 0, 0, 0)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_shape_and_attribute(name, whole, dtype):
    rng, graph = np.random.default_rng(5), CASES[name]
    for node in graph.nodes:
        for slopes in (1, 2):
            assert worst_of_node(rng, graph, node, slopes, whole, dtype) <= 1.0


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("field", ["centre", "slopes", "error"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_not_finite_stays_so(name, value, field, dtype):
    """A row full of numbers that are not finite has no finite number in its answer; others keep theirs."""
    graph = CASES[name]
    node = graph.nodes[-1]
    rng = np.random.default_rng(0)
    forms = {x: random_form(rng, graph.shapes[x], dtype=dtype) for x in graph.shapes}
    before = apply(graph, node, forms)
    for form in forms.values():
        getattr(form, field).select(int(field == "slopes"), 1).fill_(value)
    after = apply(graph, node, forms)
    filling = node.operator == "Pad"
    reached = torch.isfinite(after.reach() + after.centre)
    assert not reached[1].any() or (filling and not reached[1].all())
    for row in (0, 2):
        assert torch.equal(after.lines()[:, row], before.lines()[:, row])
        assert torch.equal(after.error[row], before.error[row])


@pytest.mark.parametrize("name", THIN)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("last", [False, True])
def test_thin_convolutions_are_those_of_windows(name, dtype, last):
    graph = THIN[name]
    site = Site(graph, torch.device("cpu"), dtype)
    linear, kernel = REGISTRY["Conv"](graph.nodes[0], site), site.parameter(graph.nodes[0].inputs[1])
    images = torch.from_numpy(np.random.default_rng(7).standard_normal((5, 8, 5, 6))).to(dtype)
    if last:
        images = images.contiguous(memory_format=torch.channels_last)
    windows = windows_of(graph.nodes[0], site)
    weights = kernel.permute(2, 3, 1, 0).reshape(1, -1, len(kernel))
    found = linear.through(images)
    assert torch.allclose(found, windows.convolve(images, weights), 1e-5, 1e-5)
    assert found.is_contiguous(memory_format=torch.channels_last)


def row_of(*numbers: tuple[float, float, float]) -> Form:
    """One row of given centres, slopes and errors."""
    centre, slope, error = torch.tensor(numbers, dtype=torch.float64).T
    return Form(centre[None], slope[None, None], error[None])


def test_a_relu_that_is_on_or_off_loses_nothing():
    graph = kinked("Relu")
    graph = Graph("x", graph.output, graph.nodes, {}, dict.fromkeys(graph.shapes, (3,)))
    result = apply(graph, graph.nodes[0], {"x": row_of((3.0, 1.0, 0.5), (-3.0, 1.0, 0.5), (0.0, 0.0, 0.0))})
    assert result.centre[0, :2].tolist() == [3.0, 0.0]
    assert result.slopes[0, 0, :2].tolist() == [1.0, 0.0]
    assert result.error[0, :2].tolist() == [0.5, 0.0]
    assert result.error[0, 2] + result.centre[0, 2] < 1e-200


def test_a_relu_across_zero_takes_the_chord():
    graph = kinked("Relu")
    graph = Graph("x", graph.output, graph.nodes, {}, dict.fromkeys(graph.shapes, (1,)))
    result = apply(graph, graph.nodes[0], {"x": row_of((1.0, 3.0, 0.0))})
    parts = [result.centre.item(), result.slopes.item(), result.error.item()]
    np.testing.assert_allclose(parts, [4 / 3, 2.0, 2 / 3], rtol=1e-12)


def test_slopes_cancel_in_differences():
    draft = Draft(1)
    graph = draft.graph(draft.node("Sub", ["x", "x"], [1]))
    result = apply(graph, graph.nodes[0], {"x": row_of((1.0, 5.0, 0.0))})
    assert result.slopes.item() == result.centre.item() == 0.0
    assert result.error.item() < 1e-200


def test_maxima_of_forms_that_move_together_lose_nothing():
    """x and x + 1 share u: although their ranges overlap, the second always wins."""
    draft = Draft(1, 1, 2)
    graph = draft.graph(draft.pool("MaxPool", "x", (1, 2), (1, 1)))
    form = row_of((1.0, 5.0, 0.25), (2.0, 5.0, 0.25))
    form = Form(*(part.reshape(*part.shape[:-1], 1, 1, 2) for part in (form.centre, form.slopes, form.error)))
    result = apply(graph, graph.nodes[0], {"x": form})
    assert (result.centre.item(), result.slopes.item(), result.error.item()) == (2.0, 5.0, 0.25)


@pytest.mark.parametrize("seed", range(20))
def test_a_maximum_of_large_numbers_is_charged_for_mixing_them(seed):
    """Their difference is as small as one of their roundings, and so is what its line may be off."""
    rng = np.random.default_rng(seed)
    draft = Draft(1, 1, 40)
    graph = draft.graph(draft.pool("MaxPool", "x", (1, 2), (1, 2)))
    centre = rng.uniform(2.0**23, 2.0**24, (1, ROWS, 1, 1, 20)).repeat(2, axis=-1)
    slopes = rng.uniform(-(2.0**21), 2.0**21, (*centre.shape[:-1], 20)).repeat(2, axis=-1)
    lines = np.concatenate([centre, slopes]) + rng.integers(-1, 2, (2, ROWS, 1, 1, 40))
    form = Form.of(torch.from_numpy(lines).float(), torch.zeros(ROWS, 1, 1, 40))
    pooled = apply(graph, graph.nodes[0], {"x": form})
    for sign in (-1, 0, 1):
        u = exactly(np.full((1, ROWS), sign).astype(object))
        larger = model(form, u).reshape(ROWS, 20, 2).max(axis=-1)
        assert outside(pooled, larger.reshape(ROWS, 1, 1, 20), u) <= 1
