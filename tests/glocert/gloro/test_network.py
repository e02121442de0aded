"""N3, N9: layers, their adjoints and constants; the network and the graph that it becomes."""

from __future__ import annotations

import pytest
import torch

from glocert.gloro.architectures import NAMES, build
from glocert.gloro.layers import Convolution, Dense, LinearResidual, MinMax
from glocert.gloro.network import GloroNet, to_graph
from glocert.graph.run import run
from glocert.lipschitz.network import bound


@pytest.mark.parametrize(
    "layer",
    [
        Dense((3, 4, 5), 7),
        Convolution((2, 9, 7), 3, 4, 2, 1),
        Convolution((2, 8, 8), 3, 3, 1, 1),
        Convolution((1, 10, 11), 4, 5, 3, 2),
        LinearResidual((3, 6, 6)),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_n3_the_adjoint_is_the_adjoint(layer: Convolution) -> None:
    torch.manual_seed(0)
    layer = layer.double()
    with torch.no_grad():
        layer.weight.normal_()  # orthogonal ones have many equal singular values: iteration takes long
    x = torch.randn(1, *layer.shape, dtype=torch.float64)
    y = torch.randn(1, *layer.output_shape, dtype=torch.float64)
    forward, backward = (layer.map(x) * y).sum(), (x * layer.adjoint(y)).sum()
    assert torch.allclose(forward, backward, rtol=1e-10)
    truth = torch.linalg.svdvals(torch.func.jacrev(layer.map)(x).reshape(y.numel(), x.numel()))[0]
    assert torch.allclose(layer.stretch(5000), truth, rtol=1e-4)


@pytest.mark.parametrize("activation", ["minmax", "relu"])
@pytest.mark.parametrize("name", NAMES)
def test_the_graph_computes_what_the_network_computes(name: str, activation: str) -> None:
    torch.manual_seed(1)
    network = build(name, (3, 16, 16), 4, mean=[0.5] * 3, std=[0.2, 0.3, 0.4], activation=activation, width=8)
    graph = to_graph(network, (3, 16, 16))
    x = torch.rand(5, 3, 16, 16)
    with torch.no_grad():
        expected = network(x)
    assert torch.allclose(run(graph, x), expected, atol=1e-5)


def test_the_certified_constants_are_not_below_the_estimates() -> None:
    torch.manual_seed(2)
    network = build("2c2f", (1, 14, 14), 5, mean=[0.1], std=[0.3])
    with torch.no_grad():
        estimated = network.pairs(500).double()
    proven = bound(to_graph(network, (1, 14, 14))).pairs
    assert bool((proven >= estimated * (1 - 1e-5)).all())
    assert bool((proven <= estimated * 1.05 + 1e-12).all())


def test_n9_a_step_changes_the_constants() -> None:
    torch.manual_seed(3)
    network = build("2c2f", (1, 8, 8), 3)
    before = network.pairs(100)
    with torch.no_grad():
        network.head.weight.mul_(3.0)
    assert torch.allclose(network.pairs(100), 3 * before, rtol=1e-4)


def test_min_max_sorts_pairs_and_refuses_an_odd_number() -> None:
    layer = MinMax((4,))
    x = torch.tensor([[1.0, 5.0, 3.0, 2.0]])
    assert layer(x).tolist() == [[3.0, 5.0, 1.0, 2.0]]
    with pytest.raises(ValueError, match="even number"):
        MinMax((3, 2, 2))


def test_unknown_names_and_images_that_are_too_small_are_refused() -> None:
    with pytest.raises(ValueError, match="no architecture"):
        build("vgg", (3, 32, 32), 10)
    with pytest.raises(ValueError, match="too small"):
        build("2c2f", (1, 2, 2), 10)


def test_a_network_without_hidden_layers_is_its_head() -> None:
    network = GloroNet([Dense((4,), 3)])
    rows = network.head.weight.detach()
    expected = torch.cdist(rows, rows)
    assert torch.allclose(network.pairs(1), expected, atol=1e-5)
