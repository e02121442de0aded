"""An uploaded network as one that learns: the same function, estimates that reach the bound, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from glocert.errors import UnsupportedOperators
from glocert.gloro.architectures import build
from glocert.gloro.trainable import TrainableGraph, folded, trained
from glocert.graph.builder import GraphBuilder
from glocert.graph.imported import as_classifier
from glocert.graph.ir import Graph, Node
from glocert.graph.limits import Limits
from glocert.graph.onnx import read_onnx
from glocert.graph.run import run
from glocert.lipschitz.network import bound
from glocert.paths.preprocessing import prepend_preprocessing
from glocert.spec import Preprocessing

MODELS = ["mnist_fc_3layer", "mnist_conv_small", "mnist_lenet_maxpool", "mnist_keras_nhwc"]


class Draft:
    """A graph under construction, with random weights."""

    def __init__(self, *shape: int) -> None:
        self.builder = GraphBuilder.start("x", shape, Limits())
        self.chance = np.random.default_rng(0)

    def weights(self, *shape: int) -> str:
        array = self.chance.normal(size=shape) / np.sqrt(shape[-1])
        return self.builder.parameter(array.astype(np.float32), "w")

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        return self.builder.add(Node(operator, operator, inputs, operator, attributes, operator))


def residual() -> Graph:
    """A stem with a normalisation, ``relu(x + conv(relu(conv(x))))``, average pooling, a head."""
    draft = Draft(2, 6, 6)
    window = {"strides": (1, 1), "pads": (1, 1, 1, 1), "dilations": (1, 1), "group": 1}
    spread = draft.builder.parameter(np.full(4, 0.7, np.float32), "var")
    here = draft.add("Conv", "x", draft.weights(4, 2, 3, 3), **window)
    scale, shift, mean = (draft.weights(4) for _ in range(3))
    trunk = draft.add("Relu", draft.add("BatchNormalization", here, scale, shift, mean, spread, epsilon=1e-5))
    inner = draft.add("Relu", draft.add("Conv", trunk, draft.weights(4, 4, 3, 3), **window))
    joined = draft.add("Add", trunk, draft.add("Conv", inner, draft.weights(4, 4, 3, 3), **window))
    pool = {"kernel_shape": (2, 2), "strides": (2, 2), "pads": (0, 0, 0, 0), "count_include_pad": 0}
    pooled = draft.add("AveragePool", draft.add("LeakyRelu", joined, alpha=0.1), **pool)
    flat = draft.add("Reshape", pooled, shape=(36,))
    return draft.builder.finish(
        draft.add("Add", draft.add("MatMul", flat, draft.weights(36, 3)), draft.weights(3))
    )


@pytest.mark.parametrize("name", MODELS)
def test_real_networks_keep_their_function_and_reach_their_bound(name: str, shared_data: Path) -> None:
    graph = as_classifier(read_onnx((shared_data / "models" / f"{name}.onnx").read_bytes()).graph)
    network = TrainableGraph(graph)
    x = torch.rand(6, *graph.input_shape)
    torch.testing.assert_close(network(x), run(graph, x), rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        estimated = network.pairs(300).double()
    proven = bound(graph).pairs
    assert bool((estimated <= proven * (1 + 1e-5)).all())
    assert bool((estimated >= proven * 0.97).all())


def test_a_residual_network_keeps_its_function_and_its_parts_count() -> None:
    graph = residual()
    network = TrainableGraph(graph)
    x = torch.randn(6, 2, 6, 6)
    torch.testing.assert_close(network(x), run(graph, x), rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        estimated = network.pairs(300).double()
    jacobian = torch.func.vmap(torch.func.jacrev(lambda one: network(one[None])[0]))(x).flatten(2).detach()
    gaps = torch.linalg.vector_norm(jacobian[:, :, None] - jacobian[:, None], dim=3).amax(0)
    assert bool((estimated >= gaps.double() * (1 - 1e-5)).all())


def test_gradients_reach_every_weight_and_the_graph_holds_what_was_learned() -> None:
    graph = prepend_preprocessing(residual(), (2, 6, 6), Preprocessing(mean=(0.1, 0.2), std=(0.5, 0.7)))
    network = TrainableGraph(graph)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01)
    x = torch.rand(4, 2, 6, 6)
    before = network(x).detach()
    loss = network(x).square().mean() + network.pairs(5).mean()
    torch.autograd.backward(loss)
    assert all(weight.grad is not None and bool(weight.grad.any()) for weight in network.weights)
    optimiser.step()
    after = network(x).detach()
    assert not torch.allclose(after, before)
    torch.testing.assert_close(run(network.graph(), x), after, rtol=1e-5, atol=1e-6)
    for name in ("preprocessing.sub.value", "preprocessing.div.value"):
        np.testing.assert_allclose(network.graph().parameters[name], graph.parameters[name])
    alone = trained(folded(residual()), network)
    front = (x - torch.tensor([0.1, 0.2])[:, None, None]) / torch.tensor([0.5, 0.7])[:, None, None]
    torch.testing.assert_close(run(alone, front), after, rtol=1e-5, atol=1e-5)


def test_the_gradient_of_the_constants_is_that_of_finite_differences() -> None:
    network = TrainableGraph(residual()).double()
    network.pairs(2000)
    total = network.pairs(50).sum()
    weight = network.weights[0]
    (slope,) = torch.autograd.grad(total, weight)
    place = int(slope.abs().argmax())
    sums = []
    for step in (1e-5, -1e-5):
        with torch.no_grad():
            weight.view(-1)[place] += step
            sums.append(float(network.pairs(500).sum()))
            weight.view(-1)[place] -= step
    assert (sums[0] - sums[1]) / 2e-5 == pytest.approx(float(slope.view(-1)[place]), rel=1e-3)


def test_a_network_that_sorts_pairs_is_trained_as_one() -> None:
    torch.manual_seed(0)
    source = build("2c2f", (1, 8, 8), 3)
    network = TrainableGraph(source.graph())
    with torch.no_grad():
        assert torch.allclose(network.pairs(300), source.pairs(300), rtol=1e-3)


def test_what_cannot_learn_is_refused_by_name() -> None:
    draft = Draft(4)
    product = draft.add("Mul", "x", "x")
    graph = draft.builder.finish(draft.add("Gemm", product, draft.weights(3, 4)))
    with pytest.raises(UnsupportedOperators) as caught:
        TrainableGraph(graph)
    assert [offence.where for offence in caught.value.offences] == ["Mul"]
    draft = Draft(4)
    with pytest.raises(UnsupportedOperators, match="nothing in the network can learn"):
        TrainableGraph(draft.builder.finish(draft.add("Relu", "x")))
