"""Whether an imported ONNX model computes what onnxruntime computes, on inputs of the test's choice."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
import torch

from glocert.graph.imported import Imported
from glocert.graph.ir import Graph
from glocert.graph.onnx import read_onnx
from glocert.graph.onnx_runtime import original
from glocert.graph.run import run

ROWS = 3


def opsets(*operators: str, first: int = 7, last: int = 23) -> list[int]:
    """Versions of the standard operators in which one of ``operators`` changed, and the last one."""
    changed = {
        schema.since_version
        for schema in onnx.defs.get_all_schemas_with_history()
        if schema.name in operators and not schema.domain
    }
    latest_start = max(min(s.since_version for s in _history(name)) for name in operators)
    return sorted({max(version, first, latest_start) for version in changed if version <= last} | {last})


def _history(name: str) -> Iterable[onnx.defs.OpSchema]:
    return [s for s in onnx.defs.get_all_schemas_with_history() if s.name == name and not s.domain]


def normal(shape: tuple[int, ...], dtype: str = "float32") -> np.ndarray:
    """Normal numbers, the same for the same shape, of which the first row is zero and the second large."""
    x = np.random.default_rng(shape).normal(size=(ROWS, *shape)) * 2
    x[0] = 0.0
    x[1] *= 5.0
    return x.astype(dtype)


def agree(
    proto: onnx.ModelProto,
    x: np.ndarray | None = None,
    *,
    rtol: float = 1e-5,
    atol: float = 1e-5,
    **options: object,
) -> Imported:
    """Import, and compare with onnxruntime on ``x`` in the model's own type.

    Args:
        proto: a model with a batch axis.
        x: shape (rows, *input); normal numbers by default.
        rtol: relative tolerance of ``assert_close``.
        atol: absolute tolerance.
        options: of ``read_onnx``.
    """
    data = proto.SerializeToString()
    result = read_onnx(data, **options)
    x = normal(result.graph.input_shape, result.dtype) if x is None else x
    theirs = original(data, result.scores or result.output)(x)
    ours = run(result.graph, torch.from_numpy(x))
    assert ours.numel() == theirs.size
    torch.testing.assert_close(
        ours, torch.from_numpy(np.asarray(theirs)).reshape(ours.shape), rtol=rtol, atol=atol
    )
    return result


def operators(graph: Graph) -> list[str]:
    """Operators of the graph in its order."""
    return [node.operator for node in graph.nodes]
