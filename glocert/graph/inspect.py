"""An uploaded file -> inert graph and inspection report; runs inside the locked-down child."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from glocert.errors import ModelTooLarge, UnreadableModel
from glocert.graph import onnx_runtime
from glocert.graph.compare import Comparison, compare
from glocert.graph.families import is_nonlinear
from glocert.graph.imported import Imported, as_classifier
from glocert.graph.ir import Graph
from glocert.graph.limits import Limits
from glocert.graph.onnx import read_onnx
from glocert.graph.onnx_file import is_message
from glocert.graph.torchscript import RUNTIME, read_torchscript

__all__ = ["GRAPH_FILE", "Limits", "inspect_network"]

GRAPH_FILE = "graph.safetensors"
_FOREIGN = {
    b"\x89HDF": "an HDF5 file, as Keras writes; convert it with tf2onnx",
    b"GGUF": "a GGUF file, which holds a language model",
    b"\x93NUM": "a NumPy array, not a network",
    b"\x80": "a pickled Python object; upload TorchScript (torch.jit.trace) or ONNX",
}


def inspect_network(
    path: Path,
    out: Path,
    *,
    format: str | None,  # noqa: A002 - the name that the API uses
    input_shape: Sequence[int] | None,
    limits: Limits,
) -> dict[str, Any]:
    """Import an upload, compare it with what it came from, and store the graph.

    Args:
        path: the upload.
        out: existing folder that gets ``graph.safetensors``.
        format: ``onnx`` or ``torchscript``; None recognises it by content.
        input_shape: shape of one sample, where the file leaves it open.
        limits: what must not be exceeded.

    Returns:
        The inspection report, plain JSON.

    Raises:
        ModelRejected: one of its subclasses; nothing is written then.
    """
    if path.stat().st_size > limits.file_bytes:
        raise ModelTooLarge(f"The file is larger than {limits.file_bytes} bytes.")
    data = path.read_bytes()
    if (format or _recognised(data)) == "onnx":
        imported = _read_onnx(data, format, input_shape, limits)
        graph = as_classifier(imported.graph)
        comparison = _compare_onnx(imported, data)
    else:
        imported, original = read_torchscript(data, input_shape=input_shape, limits=limits)
        graph = as_classifier(imported.graph)
        comparison = compare(imported, original, RUNTIME)
    (out / GRAPH_FILE).write_bytes(graph.to_bytes())
    return _report(imported, graph, comparison)


def _compare_onnx(imported: Imported, data: bytes) -> Comparison:
    """Compare the output and, as a Softmax hides differences, what it is taken of."""
    whole = compare(imported, onnx_runtime.original(data, imported.output), onnx_runtime.RUNTIME)
    if not imported.tails:
        return whole
    scores = onnx_runtime.original(data, imported.scores)
    return compare(replace(imported, tails=()), scores, onnx_runtime.RUNTIME)


def _read_onnx(
    data: bytes, claimed: str | None, input_shape: Sequence[int] | None, limits: Limits
) -> Imported:
    """Read an ONNX file; one that nobody called so and that is none is called neither."""
    try:
        return read_onnx(data, input_shape=input_shape, limits=limits)
    except UnreadableModel:
        if claimed is None and not is_message(data):
            raise UnreadableModel(
                "The file is neither a readable ONNX model nor a TorchScript archive."
            ) from None
        raise


def _recognised(data: bytes) -> str:
    """Return the format that the first bytes tell.

    Raises:
        UnreadableModel: neither of the two.
    """
    if not data:
        raise UnreadableModel("The file is empty.")
    for magic, kind in _FOREIGN.items():
        if data.startswith(magic):
            raise UnreadableModel(
                f"The file is neither an ONNX model nor a TorchScript archive: it is {kind}."
            )
    if data[:2] == b"PK":
        return "torchscript"
    return "onnx"


def _report(imported: Imported, graph: Graph, comparison: Comparison) -> dict[str, Any]:
    return {
        "format": imported.format,
        "opset": imported.opset,
        "producer": imported.producer,
        "operators": dict(imported.operators),
        "canonical_operators": graph.operators,
        "parameters": graph.parameter_count,
        "nonlinear_units": _bent_units(graph),
        "input": {"name": graph.input, "shape": list(graph.input_shape), "dtype": imported.dtype},
        "outputs": [{"name": imported.output, "shape": list(graph.output_shape)}],
        "piecewise_linear": True,
        "methods": {
            "segment": {"admitted": "exact", "because": "every operator is affine or piecewise linear"},
            "lipschitz": {"admitted": "no", "because": "Lipschitz certification is not available yet"},
        },
        "notes": list(graph.notes),
        "comparison": asdict(comparison),
        "graph_sha256": graph.digest(),
    }


def _bent_units(graph: Graph) -> int:
    """Count the outputs of operators that are not affine."""
    return sum(math.prod(graph.shapes[node.output]) for node in graph.nodes if is_nonlinear(graph, node))
