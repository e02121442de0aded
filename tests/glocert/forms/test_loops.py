"""Compiled loops say what the torch code says that serves other devices and other orders of memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glocert.forms.backward.ops.convolution import Transposed
from glocert.forms.backward.ops.convolution import conv as conv_back
from glocert.forms.backward.peaks import channel_peaks, peak
from glocert.forms.backward.registry import REGISTRY as REVERSES
from glocert.forms.form import Form
from glocert.forms.loops.views import flat, side_by_side
from glocert.forms.ops.registry import REGISTRY, Site
from tests.glocert.forms.exactness import random_form
from tests.glocert.segments.networks import Draft, Wild

DTYPES = st.sampled_from([torch.float64, torch.float32])


def scattered(x: Form) -> Form:
    """Return the same form with its errors in another order of memory than its lines."""
    axes = tuple(reversed(range(x.error.ndim)))
    return Form.of(x.lines(), x.error.permute(axes).contiguous().permute(axes))


def close(one: torch.Tensor, other: torch.Tensor, dtype: torch.dtype) -> bool:
    slack = 1e-12 if dtype == torch.float64 else 1e-5
    scale = max(1.0, float(one.nan_to_num(0, 0, 0).abs().max()))
    return torch.allclose(one, other, rtol=slack, atol=slack * scale, equal_nan=True)


@settings(max_examples=120)
@given(st.integers(0, 10**9), st.integers(0, 3), DTYPES)
def test_forms_of_every_node(seed, slopes, dtype):
    rng = np.random.default_rng(seed)
    graph = Wild(rng).build(int(rng.integers(1, 4)))
    site = Site(graph, torch.device("cpu"), dtype)
    for node in graph.nodes:
        names = [name for name in node.inputs if graph.is_activation(name)]
        forms = [random_form(rng, graph.shapes[name], slopes, dtype=dtype) for name in names]
        transfer = REGISTRY[node.operator](node, site)
        loops, torch_code = transfer(*forms), transfer(*map(scattered, forms))
        assert close(loops.lines(), torch_code.lines(), dtype), node.operator
        assert close(loops.error, torch_code.error, dtype), node.operator


@settings(max_examples=120)
@given(st.integers(0, 10**9), st.integers(0, 3), DTYPES)
def test_nodes_between_lines(seed, slopes, dtype):
    rng = np.random.default_rng(seed)
    graph = Wild(rng).build(int(rng.integers(1, 4)))
    site = Site(graph, torch.device("cpu"), dtype)
    for node in graph.nodes:
        built = REVERSES[node.operator](node, site)
        names = [name for name in node.inputs if graph.is_activation(name)]
        x = random_form(rng, graph.shapes[names[0]], slopes, dtype=dtype)
        index = torch.from_numpy(rng.integers(0, len(x.error), 5))
        quick = getattr(built, "in_one_pass", None)
        found = quick(x, index) if quick else None
        if found is None:
            continue
        known = built.local([x.rows(index)])
        full = len(index), *graph.shapes[node.output]
        # What rounding costs may be bounded by channel: never less than number by number.
        assert (found.charge.expand(full) >= known.charge.expand(full) * (1 - 1e-5)).all(), node.operator
        # A sum that torch adds up in float32 is lifted by what that may lose; ours is added up in float64.
        assert (found.floor >= known.floor * (1 - 1e-3)).all()
        for one, other in zip(found.gains, known.gains, strict=True):
            assert close(one, other, dtype)
        if known.shift is not None:
            assert close(found.shift.expand(full), known.shift.expand(full), dtype)


@pytest.mark.parametrize("operator", ["Relu", "Clip"])
@pytest.mark.parametrize("bad", [torch.inf, torch.nan])
@pytest.mark.parametrize("where", ["centre", "slope", "error"])
def test_what_is_not_finite_is_not_known(operator, bad, where):
    draft = Draft(3)
    attributes = {"min": 0.0, "max": 1.0} if operator == "Clip" else {}
    graph = draft.graph(draft.node(operator, ["x"], [3], **attributes))
    node, site = graph.nodes[0], Site(graph, torch.device("cpu"))
    lines, error = torch.zeros(2, 1, 3, dtype=torch.float64), torch.zeros(1, 3, dtype=torch.float64)
    {"centre": lines[0], "slope": lines[1], "error": error}[where][0, 1] = bad
    made = REGISTRY[operator](node, site)(Form.of(lines, error))
    assert torch.isfinite(made.error)[0].tolist() == [True, False, True]
    between = REVERSES[operator](node, site).in_one_pass(Form.of(lines, error), torch.tensor([0]))
    assert torch.isfinite(between.charge)[0].tolist() == [True, False, True]


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("dilations", [(1, 1), (2, 1), (1, 2)])
@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 2, 0, 1)])
@pytest.mark.parametrize("strides", [(1, 1), (2, 1), (1, 3)])
def test_overlaid_windows(groups, dilations, pads, strides):
    rng = np.random.default_rng(0)
    shape, kernel = (4, 7, 8), (3, 2)
    draft = Draft(*shape)
    weights = rng.standard_normal((6, 4 // groups, *kernel))
    out = [
        (size + pads[axis] + pads[axis + 2] - dilations[axis] * (kernel[axis] - 1) - 1) // strides[axis] + 1
        for axis, size in enumerate(shape[1:])
    ]
    node = draft.node(
        "Conv",
        ["x", draft.parameter(weights)],
        [6, *out],
        group=groups,
        strides=strides,
        pads=pads,
        dilations=dilations,
    )
    graph = draft.graph(node)
    back = conv_back(graph.nodes[0], Site(graph, torch.device("cpu"))).transposed
    assert isinstance(back, Transposed)
    columns = torch.from_numpy(rng.standard_normal((2, *out, groups, *kernel, 4 // groups)))
    assert torch.allclose(back._in_one_pass(columns), back._overlaid(columns), rtol=1e-14, atol=1e-14)


@settings(max_examples=60)
@given(st.integers(0, 10**9), st.integers(0, 2), DTYPES, st.booleans())
def test_peaks(seed, slopes, dtype, last):
    rng = np.random.default_rng(seed)
    x = random_form(rng, (3, 4, 2), slopes, dtype=dtype)
    if last:
        lines = x.lines().permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
        x = Form.of(lines, x.error.contiguous(memory_format=torch.channels_last))
    assert flat(x.lines(), x.error) is not None
    assert side_by_side(x.error) == (1 if last else 8)
    index = torch.tensor([2, 0, 2])
    known, (found, total) = x.rows(index).peak(), peak(x, index)
    assert close(found, known, dtype)
    assert (total >= known.double().sum((1, 2, 3)) * (1 - 1e-6)).all()
    of_channels, _ = channel_peaks(x, index)
    assert close(of_channels, known.amax((2, 3)), dtype)


@settings(max_examples=60)
@given(st.integers(0, 10**9), DTYPES, st.booleans())
def test_adjoints_of_chosen_rows(seed, dtype, last):
    """Going back at the row of each adjoint is going back with the rows copied."""
    rng = np.random.default_rng(seed)
    draft = Draft(3, 5, 4)
    pooled = draft.node("MaxPool", ["x"], [3, 3, 2], kernel_shape=(2, 2), strides=(2, 2), pads=(1, 0, 0, 0))
    graph = draft.graph(draft.relu(pooled))
    site = Site(graph, torch.device("cpu"), dtype)
    for node in graph.nodes:
        built, x = (
            REVERSES[node.operator](node, site),
            random_form(rng, graph.shapes[node.inputs[0]], 1, dtype=dtype),
        )
        local, place = built.local([x]), torch.from_numpy(rng.integers(0, len(x.error), 6))
        adjoint = torch.from_numpy(rng.standard_normal((6, 2, *graph.shapes[node.output]))).to(dtype)
        if last:
            adjoint = adjoint.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
        (one,) = built.back_at(adjoint, local.gains, place)
        (other,) = built.back(adjoint, tuple(gain[place] for gain in local.gains))
        assert close(one, other, dtype), node.operator
