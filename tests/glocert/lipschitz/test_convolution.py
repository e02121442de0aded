"""N1, N3, N5: norms of convolutions at the size of their input, against the explicit matrix."""

from __future__ import annotations

import math
import random

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from glocert.graph.builder import GraphBuilder
from glocert.graph.ir import Graph, Node
from glocert.graph.limits import Limits
from glocert.lipschitz.affine import affine_norm, estimate, schur_bound
from glocert.lipschitz.convolution import Window, torus_bound
from glocert.lipschitz.explicit import matrix_of
from glocert.lipschitz.regions import joined, runs


def draw(chance: random.Random) -> tuple[Tensor, Window]:
    """Return a kernel and a geometry that fit together."""
    while True:
        kernel = chance.randint(1, 7), chance.randint(1, 7)
        strides = chance.randint(1, 4), chance.randint(1, 4)
        dilations = chance.randint(1, 2), chance.randint(1, 2)
        top, left, bottom, right = (chance.randint(0, 3) for _ in range(4))
        group = chance.choice([1, 1, 2, 3])
        size = chance.randint(3, 11), chance.randint(3, 11)
        window = Window(size, strides, (top, left, bottom, right), dilations, group)
        room = (size[0] + top + bottom, size[1] + left + right)
        if all(room[axis] >= (kernel[axis] - 1) * dilations[axis] + 1 for axis in (0, 1)):
            break
    shape = group * chance.randint(1, 3), chance.randint(1, 3), *kernel
    generator = torch.Generator().manual_seed(chance.randrange(2**31))
    weight = torch.randn(*shape, generator=generator, dtype=torch.float64)
    if chance.random() < 0.3:
        weight = weight.abs()  # all in phase: the worst case is the constant image
    return weight * 10.0 ** chance.choice([0, 0, -20, 10]), window


def explicit(weight: Tensor, window: Window) -> Tensor:
    """Return the matrix of a convolution by running it on unit images."""
    top, left, bottom, right = window.pads
    channels = weight.shape[1] * window.group
    cells = channels * math.prod(window.size)
    units = torch.eye(cells, dtype=torch.float64).reshape(cells, channels, *window.size)
    padded = functional.pad(units, (left, right, top, bottom))
    images = functional.conv2d(
        padded, weight, stride=window.strides, dilation=window.dilations, groups=window.group
    )
    return images.flatten(1).T


def layer(weight: Tensor, window: Window) -> Graph:
    """Return a graph of one convolution."""
    channels = weight.shape[1] * window.group
    builder = GraphBuilder.start("x", (channels, *window.size), Limits())
    name = builder.parameter(weight.numpy(), "w")
    attributes = {
        "strides": window.strides,
        "pads": window.pads,
        "dilations": window.dilations,
        "group": window.group,
    }
    output = builder.add(Node("conv", "Conv", ("x", name), "y", attributes, "Conv"))
    return builder.finish(output)


@pytest.mark.parametrize("seed", range(20))
def test_n1_no_bound_is_below_the_truth_and_the_tightened_one_is_close(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(25):
        weight, window = draw(chance)
        truth = float(torch.linalg.svdvals(explicit(weight, window))[0])
        assert torus_bound(weight, window) >= truth * (1 - 1e-13)
        graph = layer(weight, window)
        assert schur_bound(graph) >= truth * (1 - 1e-13)
        (parts,) = runs(graph)
        found = affine_norm(parts[0], parts)
        assert truth * (1 - 1e-13) <= found.upper <= truth * 1.001 + 1e-280
        assert estimate(graph) <= truth * (1 + 1e-12)


@pytest.mark.parametrize(
    ("inputs", "outputs", "kernel", "stride", "size", "pad"),
    [(1, 16, 4, 2, 28, 1), (16, 32, 4, 2, 14, 1), (16, 16, 3, 1, 16, 1), (3, 16, 5, 2, 32, 2)],
)
def test_n1_the_torus_alone_is_close_on_ordinary_sizes(
    inputs: int, outputs: int, kernel: int, stride: int, size: int, pad: int
) -> None:
    torch.manual_seed(0)
    weight = torch.nn.init.orthogonal_(torch.empty(outputs, inputs, kernel, kernel, dtype=torch.float64))
    window = Window((size, size), (stride, stride), (pad,) * 4)
    truth = estimate(layer(weight, window))
    assert truth <= torus_bound(weight, window) <= 1.10 * truth


def test_n3_the_matrix_of_a_region_is_its_map() -> None:
    weight, window = draw(random.Random(5))
    matrix = matrix_of(layer(weight, window))
    assert torch.allclose(matrix.values, explicit(weight, window), rtol=1e-12, atol=0)
    assert matrix.error <= 1e-9 * float(matrix.values.norm())


def test_n5_a_linear_residual_block_is_one_operator() -> None:
    """x + conv(x) is bounded by the norm of I + C, not by 1 + the norm of C."""
    torch.manual_seed(4)
    weight = torch.randn(3, 3, 3, 3, dtype=torch.float64) / 10
    builder = GraphBuilder.start("x", (3, 6, 6), Limits())
    kernel = builder.parameter(weight.numpy(), "w")
    attributes = {"strides": (1, 1), "pads": (1, 1, 1, 1), "dilations": (1, 1), "group": 1}
    inner = builder.add(Node("conv", "Conv", ("x", kernel), "c", attributes, "Conv"))
    output = builder.add(Node("add", "Add", ("x", inner), "y", {}, "Add"))
    graph = builder.finish(output)
    conv = explicit(weight, Window((6, 6), pads=(1, 1, 1, 1)))
    truth = float(torch.linalg.svdvals(torch.eye(108, dtype=torch.float64) + conv)[0])
    (parts,) = runs(graph)
    found = affine_norm(joined(graph, parts), parts)
    assert truth <= found.upper <= truth * (1 + 1e-8)
    assert found.upper < 1 + float(torch.linalg.svdvals(conv)[0])
