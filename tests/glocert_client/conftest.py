"""One embedded service for all tests of the client, and files whose verdicts are known by hand."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from glocert_client import Client
from tests.embedded import embedded_service
from tests.moody import Moody


@pytest.fixture(scope="package")
def service_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded_service(tmp_path_factory.mktemp("service")) as url:
        yield url


@pytest.fixture
def client(service_url: str) -> Iterator[Client]:
    with Client(service_url) as client:
        yield client


@pytest.fixture
def moody() -> Iterator[Moody]:
    with Moody() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def write_network(path: Path, nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], size: int) -> Path:
    """Save a network of (1, size, size) images with two scores named ``y``."""
    graph = helper.make_graph(
        nodes, "tests",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1, size, size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture(scope="package")
def threshold_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Says 1 where the mean of the pixels is above 0.5, and 0 below."""
    weights = {
        "w": np.stack([np.full(16, -1 / 16), np.full(16, 1 / 16)]),
        "b": np.array([0.5, -0.5]),
        "v": np.eye(2),
        "c": np.zeros(2),
    }
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "w", "b"], ["hidden"], "first", transB=1),
        helper.make_node("Relu", ["hidden"], ["rectified"], "relu"),
        helper.make_node("Gemm", ["rectified", "v", "c"], ["y"], "second", transB=1),
    ]
    return write_network(tmp_path_factory.mktemp("model") / "threshold.onnx", nodes, weights, 4)


@pytest.fixture(scope="package")
def refused_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has two nodes that nothing admits."""
    nodes = [
        helper.make_node("Hardmax", ["x"], ["bent"], "bend"),
        helper.make_node("RandomNormalLike", ["bent"], ["waves"], "wave"),
        helper.make_node("Flatten", ["waves"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "w", "b"], ["y"], "only", transB=1),
    ]
    weights = {"w": np.ones((2, 16)), "b": np.zeros(2)}
    return write_network(tmp_path_factory.mktemp("model") / "refused.onnx", nodes, weights, 4)


@pytest.fixture(scope="package")
def levels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grey images; brightness to +0.2 certifies two, falsifies the second; the last label is wrong."""
    images = np.stack([np.full((4, 4), level, np.uint8) for level in (51, 115, 204, 230)])
    path = tmp_path_factory.mktemp("data") / "levels.npz"
    np.savez(path, images=images, labels=np.array([0, 0, 1, 0]))
    return path


@pytest.fixture(scope="package")
def slow_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wide and random, so that a path through it has very many pieces."""
    random = np.random.default_rng(0)
    width, layers = 512, 4
    nodes, last = [helper.make_node("Flatten", ["x"], ["h0"], "flatten")], 256
    weights: dict[str, np.ndarray] = {}
    for layer in range(layers):
        weights[f"w{layer}"] = random.normal(0, (2 / last) ** 0.5, (width, last))
        weights[f"b{layer}"] = random.normal(0, 0.1, width)
        names = [f"h{layer}", f"w{layer}", f"b{layer}"]
        nodes.append(helper.make_node("Gemm", names, [f"g{layer}"], f"gemm{layer}", transB=1))
        nodes.append(helper.make_node("Relu", [f"g{layer}"], [f"h{layer + 1}"], f"relu{layer}"))
        last = width
    weights |= {"v": random.normal(0, 0.1, (2, width)), "c": np.zeros(2)}
    nodes.append(helper.make_node("Gemm", [f"h{layers}", "v", "c"], ["y"], "out", transB=1))
    return write_network(tmp_path_factory.mktemp("model") / "slow.onnx", nodes, weights, 16)


@pytest.fixture(scope="package")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hundred unlabelled images of noise."""
    path = tmp_path_factory.mktemp("data") / "noise.npz"
    np.savez(path, images=np.random.default_rng(1).integers(0, 256, (300, 16, 16), np.uint8))
    return path
