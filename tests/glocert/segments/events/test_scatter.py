"""Edges against the operators that they stand for, one unit at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glocert.graph.run import run
from glocert.segments.events import network
from glocert.segments.events.loops.scatter import gathered
from glocert.segments.events.loops.tables import CHANNELS, HEIGHT, OFFSET, WIDTH
from tests.glocert.segments.networks import Draft


def moved(graph, changes):
    """Return what changes of the input, given by flat index, come to at the only layer behind it."""
    made = network.prepare(graph)
    assert made is not None
    layers = made.plan[0]
    numbers, boxes = np.full(made.units, np.nan), np.zeros((len(layers), 4), np.int64)
    places = np.empty_like(made.entry)
    places[made.entry] = np.arange(len(made.entry))
    spots = {int(places[index]): value for index, value in changes.items()}
    pixels = [spot // layers[0, CHANNELS] for spot in spots]
    rows, columns = (
        [pixel // layers[0, WIDTH] for pixel in pixels],
        [pixel % layers[0, WIDTH] for pixel in pixels],
    )
    box = min(rows), max(rows) + 1, min(columns), max(columns) + 1
    boxes[0] = box
    for y in range(box[0], box[1]):
        start = (y * layers[0, WIDTH] + box[2]) * layers[0, CHANNELS]
        numbers[start : start + (box[3] - box[2]) * layers[0, CHANNELS]] = 0.0
    for spot, value in spots.items():
        numbers[spot] = value
    comes = gathered(1, made.plan, boxes, numbers, np.empty(made.units, np.int64))
    size = layers[1, HEIGHT] * layers[1, WIDTH] * layers[1, CHANNELS]
    out = numbers[layers[1, OFFSET] : layers[1, OFFSET] + size]
    return (np.nan_to_num(out) if comes else np.zeros(size))[made.exit]


def linear(graph, changes, size):
    """Return the same as torch has it."""
    x = torch.zeros(2, size, dtype=torch.float64)
    for index, value in changes.items():
        x[1, index] = value
    at, moved_to = run(graph, x.reshape(2, *graph.input_shape)).reshape(2, -1).numpy()
    return moved_to - at


def close(draft, output):
    """Let the scores be the output flattened, with a bias so that the sums start somewhere."""
    return draft.graph(draft.flat(output))


@pytest.mark.parametrize("dilations", [(1, 1), (2, 1), (1, 2)])
@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 1, 1, 1), (2, 0, 1, 3)])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (1, 3), (3, 2)])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (2, 4), (5, 3)])
def test_a_convolution_of_single_pixels(kernel, strides, pads, dilations):
    rng = np.random.default_rng(0)
    draft = Draft(3, 11, 10)
    weight = rng.standard_normal((9, 3, *kernel)).astype(np.float32)
    graph = close(draft, draft.conv("x", weight, rng.standard_normal(9), strides, pads, dilations))
    for index in [0, 9, 109, 329, *rng.integers(0, 330, 8).tolist()]:
        changes = {index: 1.5, (index + 10) % 330: -0.25}
        np.testing.assert_allclose(moved(graph, changes), linear(graph, changes, 330), atol=1e-12)


@pytest.mark.parametrize("group", [2, 4])
def test_a_convolution_in_groups(group):
    rng = np.random.default_rng(1)
    draft = Draft(4, 6, 6)
    graph = close(
        draft, draft.conv("x", rng.standard_normal((8, 4 // group, 3, 3)), None, (2, 1), group=group)
    )
    for index in rng.integers(0, 144, 12).tolist():
        np.testing.assert_allclose(moved(graph, {index: 2.0}), linear(graph, {index: 2.0}, 144), atol=1e-12)


@pytest.mark.parametrize("width", [1, 7, 8, 33])
def test_a_matrix_of_any_width(width):
    rng = np.random.default_rng(2)
    draft = Draft(21)
    graph = draft.graph(draft.gemm("x", rng.standard_normal((width, 21)).astype(np.float64)))
    for count in range(1, 12):
        changes = dict(zip(rng.permutation(21)[:count].tolist(), rng.standard_normal(count), strict=True))
        np.testing.assert_allclose(moved(graph, changes), linear(graph, changes, 21), atol=1e-12)
