"""All forms of one network have one normal form, which computes the same."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from glocert.graph.builder import GraphBuilder
from glocert.graph.formats import read
from glocert.graph.ir import Graph, Node
from glocert.graph.limits import Limits
from glocert.graph.normal import normal_digest, normal_form
from glocert.graph.onnx import read_onnx
from glocert.graph.run import run
from tests.glocert.graph.random_modules import modules
from tests.glocert.graph.torch_forms import example, exported, from_pt2, from_torchscript, scripted, traced


class Block(nn.Module):
    """A residual block."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.second(torch.relu(self.first(x))) + x)


class Halves(nn.Module):
    """Selections, a product, and arithmetic with numbers."""

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, 1)
        return torch.cat([torch.tanh(first) * second, (second - 0.5) * 2.0, first[:, 1:]], 1)


def networks() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    torch.manual_seed(11)
    return {
        "dense": (nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Dropout(), nn.Linear(5, 3)), (6,)),
        "image": (
            nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 3)),
            (2, 6, 6),
        ),
        "residual": (
            nn.Sequential(Block(), Block(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, 3)),
            (2, 4, 4),
        ),
        "transposed": (nn.Sequential(nn.ConvTranspose2d(2, 1, 2, 2), nn.ReLU(), nn.Flatten()), (2, 3, 3)),
        "halves": (nn.Sequential(nn.Linear(6, 8), Halves(), nn.Linear(11, 3)), (6,)),
        "smooth": (
            nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 2)),
            (4,),
        ),
        "clipped": (nn.Sequential(nn.Linear(4, 5), nn.ReLU6(), nn.Linear(5, 5), nn.LeakyReLU(0.1)), (4,)),
        "softmax": (nn.Sequential(nn.Linear(4, 5), nn.ELU(), nn.Linear(5, 3), nn.Softmax(1)), (4,)),
        "upsampled": (
            nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(1, 1, 3), nn.Flatten()),
            (1, 3, 3),
        ),
    }


NETWORKS = networks()


def onnx_of(module: nn.Module, x: Tensor) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        axes = {"x": {0: "batch"}}
        torch.onnx.export(module, (x,), buffer, dynamo=False, input_names=["x"], dynamic_axes=axes)
    return buffer.getvalue()


def forms(module: nn.Module, shape: tuple[int, ...]) -> dict[str, Graph]:
    """Return the graphs of a network saved in every way."""
    x = example(shape)
    return {
        "traced": from_torchscript(traced(module, x), shape).graph,
        "scripted": from_torchscript(scripted(module), shape).graph,
        "pt2": from_pt2(exported(module, x, dynamic=True)).graph,
        "pt2 of one batch size": from_pt2(exported(module, x)).graph,
        "onnx": read_onnx(onnx_of(module, x)).graph,
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_all_forms_of_a_network_are_one(name: str) -> None:
    module, shape = NETWORKS[name]
    graphs = forms(module.eval(), shape)
    digests = {form: normal_digest(graph) for form, graph in graphs.items()}
    assert len(set(digests.values())) == 1, {
        form: [(node.operator, dict(node.attributes)) for node in normal_form(graph).nodes]
        for form, graph in graphs.items()
    }
    x = example(shape, torch.float64)
    outputs = [run(graph, x) for graph in graphs.values()]
    for output in outputs[1:]:
        torch.testing.assert_close(output, outputs[0], rtol=1e-12, atol=1e-12)


@pytest.mark.filterwarnings("ignore")
def test_an_exporter_that_folds_a_normalisation_makes_another_network() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten()).eval()
    with torch.no_grad():
        module[1].running_mean.uniform_(0.5, 1)
        module[1].running_var.uniform_(0.5, 2)
    graphs = forms(module, (1, 4, 4))
    kept = {normal_digest(graph) for form, graph in graphs.items() if form != "onnx"}
    assert len(kept) == 1
    folded = graphs["onnx"]
    assert "BatchNormalization" not in folded.operators
    assert normal_digest(folded) not in kept
    x = example((1, 4, 4))
    for graph in graphs.values():
        torch.testing.assert_close(run(graph, x), module(x).detach(), rtol=1e-5, atol=1e-5)


SHARED = {
    "cifar_cnn_a_adv": ("onnx", "pt", "pt2"),
    "cifar_conv_sigmoid": ("onnx", "pt"),
    "cifar_conv_small_pgd": ("onnx", "pt"),
    "cifar_resnet2b": ("onnx", "pt", "pt2", "scripted.pt"),
    "mnist_a_adv": ("onnx", "pt"),
    "mnist_cnn_small": ("onnx", "pt"),
    "mnist_conv_small": ("onnx", "pt", "pt2", "scripted.pt"),
    "mnist_fc_256x2": ("onnx", "pt"),
    "mnist_fc_3layer": ("onnx", "pt"),
    "mnist_lenet_maxpool": ("onnx", "pt", "scripted.pt"),
    "mnist_relu_6_100": ("onnx", "pt"),
    "mnist_spectral_mlp_b": ("onnx", "pt", "pt2"),
    "mnist_tiny_20": ("onnx", "pt"),
}


@pytest.mark.parametrize("name", sorted(SHARED))
def test_all_files_of_a_shared_model_are_one(shared_data: Path, name: str) -> None:
    files = [shared_data / "models" / f"{name}.{ending}" for ending in SHARED[name]]
    files += (shared_data / "models").glob(f"{name}_dynamo.onnx")
    graphs: list[Graph] = []
    for path in files:
        shape = graphs[0].input_shape if "scripted" in path.name else None
        result = read(path.read_bytes(), None, input_shape=shape, output=None, limits=Limits())
        graphs.append(result.imported.graph)
    assert len({normal_digest(graph) for graph in graphs}) == 1
    x = example(graphs[0].input_shape)
    for graph in graphs[1:]:
        torch.testing.assert_close(run(graph, x), run(graphs[0], x), rtol=0, atol=0)


@settings(max_examples=40)
@given(modules(), st.integers(0, 2**31))
def test_the_normal_form_computes_the_same(drawn: tuple[nn.Module, tuple[int, ...]], seed: int) -> None:
    module, shape = drawn
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = from_torchscript(scripted(module), shape).graph
    normal = normal_form(graph)
    x = torch.randn(3, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    torch.testing.assert_close(run(normal, x), run(graph, x), rtol=1e-9, atol=1e-9)
    assert normal_form(normal).digest() == normal.digest()
    renamed = Graph(
        f"a {graph.input}",
        f"a {graph.output}",
        tuple(
            Node(f"b {node.name}", node.operator, tuple(f"a {n}" for n in node.inputs), f"a {node.output}",
                 node.attributes)
            for node in graph.nodes
        ),
        {f"a {name}": array for name, array in graph.parameters.items()},
        {f"a {name}": sizes for name, sizes in graph.shapes.items()},
    )  # fmt: skip
    assert normal_digest(renamed) == normal.digest()


def built(*nodes: tuple[str, tuple[object, ...], dict[str, object]], shape: tuple[int, ...] = (4,)) -> Graph:
    """Return a graph of nodes in a row; arrays among the inputs become parameters, "x" is the one before."""
    builder = GraphBuilder.start("x", shape, Limits())
    last = builder.input
    for position, (operator, inputs, attributes) in enumerate(nodes):
        names = tuple(
            last if isinstance(part, str) else builder.parameter(np.asarray(part, np.float32), f"p{position}")
            for part in inputs
        )
        last = builder.add(Node(f"n{position}", operator, names, f"y{position}", attributes))  # type: ignore[arg-type]
    return builder.finish(last)


W, V = np.arange(12.0).reshape(3, 4), np.array([1.0, -2.0, 3.0])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (built(("MatMul", ("x", W.T), {}), ("Add", ("x", V), {})), built(("Gemm", ("x", W, V), {}))),
        (built(("Sub", ("x", 2.0), {})), built(("Add", (np.full(4, -2.0), "x"), {}))),
        (
            built(("Clip", ("x",), {"min": 0.0, "max": np.inf})),
            built(("Relu", ("x",), {}), ("Relu", ("x",), {})),
        ),
        (
            built(("Reshape", ("x",), {"shape": (2, 2)}), ("Transpose", ("x",), {"perm": (1, 0)})),
            built(
                ("Reshape", ("x",), {"shape": (1, 4)}),
                ("Reshape", ("x",), {"shape": (2, 2)}),
                ("Transpose", ("x",), {"perm": (1, 0)}),
            ),
        ),
        (
            built(
                ("Gather", ("x",), {"axis": 0, "indices": (3, 1)}),
                ("Gather", ("x",), {"axis": 0, "indices": (1,)}),
            ),
            built(("Gather", ("x",), {"axis": 0, "indices": (1,)})),
        ),
    ],
)
def test_ways_of_saying_the_same(first: Graph, second: Graph) -> None:
    assert first.digest() != second.digest()
    assert normal_digest(first) == normal_digest(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (built(("Gemm", ("x", W, V), {})), built(("Gemm", ("x", W, V + 1), {}))),
        (built(("Gemm", ("x", W, V), {})), built(("Gemm", ("x", W[::-1], V), {}))),
        (built(("Sub", ("x", 2.0), {})), built(("Sub", (2.0, "x"), {}))),
        (built(("Div", ("x", 2.0), {})), built(("Mul", ("x", 2.0), {}))),
        (built(("LeakyRelu", ("x",), {"alpha": 0.1})), built(("LeakyRelu", ("x",), {"alpha": 0.2}))),
        (
            built(("Gather", ("x",), {"axis": 0, "indices": (0, 1)})),
            built(("Gather", ("x",), {"axis": 0, "indices": (1, 0)})),
        ),
    ],
)
def test_what_is_not_the_same_keeps_its_digest(first: Graph, second: Graph) -> None:
    assert normal_digest(first) != normal_digest(second)
