"""Convolutions of forms in every geometry, whatever library convolves them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from glocert.forms.form import Form
from glocert.forms.program import prepare
from glocert.graph.ir import Graph
from glocert.graph.run import run
from tests.glocert.segments.networks import Draft

GEOMETRIES = [
    (channels, maps, size, kernel, strides, dilations)
    for channels, maps in ((1, 2), (1, 16), (2, 16), (3, 8))
    for size, kernel in (
        ((4, 3), (2, 2)),
        ((8, 3), (3, 3)),
        ((7, 5), (1, 4)),
        ((9, 9), (3, 3)),
        ((3, 8), (2, 2)),
    )
    for strides, dilations in product(((1, 1), (1, 2), (2, 1), (1, 3)), ((1, 1), (2, 1)))
    if (kernel[0] - 1) * dilations[0] < size[0]
]


def convolution(rng: np.random.Generator, channels, maps, size, kernel, strides, dilations) -> Graph:
    draft = Draft(channels, *size)
    weight = rng.standard_normal((maps, channels, *kernel)).astype(np.float32)
    x = draft.conv("x", weight, rng.standard_normal(maps), strides, dilations=dilations)
    return draft.graph(draft.flat(x))


def images(rng: np.random.Generator, graph: Graph, rows: int) -> torch.Tensor:
    return torch.from_numpy(rng.standard_normal((rows, *graph.input_shape)).astype(np.float32))


def outside(graph: Graph, x: torch.Tensor) -> float:
    """Return how far the scores of points are from those in float64, in errors of the former."""
    points = Form.of(torch.stack([x, torch.zeros_like(x)]), torch.zeros_like(x))
    found = prepare(graph, dtype=torch.float32).scores(points)
    exact = run(graph, x.double()).flatten(1)
    return float(((found.centre.double() - exact).abs() / found.error.double()).max())


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_every_geometry_is_convolved_in_float32(geometry):
    rng = np.random.default_rng(0)
    graph = convolution(rng, *geometry)
    for rows in (1, 3, 9):
        assert outside(graph, images(rng, graph, rows)) <= 1.0


def test_columns_of_one_pixel_from_one_channel_never_reach_the_library(monkeypatch):
    monkeypatch.setattr(torch, "mkldnn_convolution", lambda images, *_: pytest.fail("it misreads these"))
    monkeypatch.setattr("glocert.forms.program.check_library", lambda *_: None)
    rng = np.random.default_rng(0)
    graph = convolution(rng, 1, 4, (4, 3), (2, 2), (1, 2), (2, 1))
    assert outside(graph, images(rng, graph, 9)) <= 1.0


def shifted(images, weights, *geometry):
    """Convolve, and be off by one row."""
    return TRUE(images, weights, *geometry).roll(1, 2)


def rounded(images, weights, *geometry):
    """Convolve with eleven bits."""
    return TRUE(images.half().float(), weights.half().float(), *geometry)


def partly(images, weights, *geometry):
    """Convolve the first image only."""
    found = TRUE(images, weights, *geometry)
    found[1:] = 0
    return found


TRUE = torch.mkldnn_convolution


@pytest.mark.parametrize("wrong", [shifted, rounded, partly])
def test_a_library_that_is_wrong_is_not_asked_again(monkeypatch, wrong):
    monkeypatch.setattr(torch, "mkldnn_convolution", wrong)
    monkeypatch.setattr("glocert.forms.program.check_library", lambda *_: None)
    rng = np.random.default_rng(0)
    graph = convolution(rng, 3, 16, (9, 9), (3, 3), (1, 1), (1, 1))
    assert outside(graph, images(rng, graph, 5)) <= 1.0


def test_a_library_is_asked_where_it_is_right(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "mkldnn_convolution", lambda *given: asked.append(1) or TRUE(*given))
    rng = np.random.default_rng(0)
    graph = convolution(rng, 3, 16, (9, 9), (3, 3), (1, 1), (1, 1))
    program = prepare(graph, dtype=torch.float32)
    before = len(asked)
    x = images(rng, graph, 2)
    program.scores(Form.of(torch.stack([x, x]), torch.zeros_like(x)))
    assert len(asked) > before
