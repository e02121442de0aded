"""The shipped digits as a case, and tiny networks whose answers are known by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from glocert.certification.case import Case
from glocert.data.inspect import inspect_dataset
from glocert.data.limits import DataLimits
from glocert.graph.inspect import inspect_network
from glocert.graph.ir import Graph, Node
from glocert.graph.limits import Limits
from glocert.spec import Preprocessing

DIGITS = Path(__file__).parents[3] / "examples/digits"
MakeCase = Callable[..., Case]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    """The sample upload, inspected: one case per format."""
    cases = {}
    for kind, name in (("onnx", "digits.onnx"), ("torchscript", "digits.torchscript.pt")):
        out = tmp_path_factory.mktemp(kind)
        inspect_network(DIGITS / name, out, format=None, input_shape=None, limits=Limits())
        inspect_dataset(DIGITS / "digits.npz", out, filename="digits.npz", limits=DataLimits())
        cases[kind] = Case(out / "graph.safetensors", out / "inputs.npy", out / "labels.npy", Preprocessing())
    return cases


@pytest.fixture
def make_case(tmp_path: Path) -> MakeCase:
    """Write a graph and arrays where a case expects them."""

    def make(graph: Graph, inputs: np.ndarray, labels: list[int] | None, **preprocessing: object) -> Case:
        (tmp_path / "graph").write_bytes(graph.to_bytes())
        np.save(tmp_path / "inputs.npy", inputs)
        if labels is not None:
            np.save(tmp_path / "labels.npy", np.array(labels, dtype=np.int64))
        return Case(
            tmp_path / "graph",
            tmp_path / "inputs.npy",
            None if labels is None else tmp_path / "labels.npy",
            Preprocessing(**preprocessing),  # type: ignore[arg-type]
        )

    return make


@pytest.fixture
def affine() -> Callable[..., Graph]:
    """Make a network whose scores are ``W x + b`` on features."""

    def make(weights: list[list[float]], bias: list[float]) -> Graph:
        w, b = np.array(weights, dtype=np.float64), np.array(bias, dtype=np.float64)
        nodes = (Node("y", "Gemm", ("x", "w", "b"), "y"),)
        return Graph("x", "y", nodes, {"w": w, "b": b}, {"x": (w.shape[1],), "y": (w.shape[0],)})

    return make
