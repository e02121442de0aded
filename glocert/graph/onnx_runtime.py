"""The uploaded ONNX model itself, run by onnxruntime, for comparison only."""

from __future__ import annotations

import onnx
import onnxruntime
from onnx import helper

from glocert.graph.compare import Batch, Original, OriginalFailed
from glocert.graph.onnx_order import live_nodes, producers

_SHORTAGE = ("bad_alloc", "Failed to allocate memory", "failed to map segment")
RUNTIME = f"onnxruntime {onnxruntime.__version__}"


def original(data: bytes, output: str) -> Original:
    """Return a function that runs the part of a checked model that ``output`` needs.

    Args:
        data: a file that ``read_onnx`` accepted.
        output: name of the tensor to return, in the part that ``read_onnx`` read.

    Raises:
        OriginalFailed: from the returned function, where onnxruntime refuses the model or the input.
    """
    model = _pruned(data, output)
    name = next(entry.name for entry in model.graph.input)
    session = _session(model)

    def compute(x: Batch) -> Batch:
        if isinstance(session, str):
            raise OriginalFailed(session)
        try:
            return session.run([output], {name: x})[0]  # type: ignore[no-any-return]
        except Exception as failure:
            _raise_shortage(failure)
            raise OriginalFailed("onnxruntime refuses the input") from failure

    return compute


def _pruned(data: bytes, output: str) -> onnx.ModelProto:
    """Drop the nodes and outputs that were not read, and declarations that may be wrong."""
    model = onnx.ModelProto()
    model.ParseFromString(data)
    graph = model.graph
    known = {tensor.name for tensor in graph.initializer} | {entry.name for entry in graph.input}
    kept = [graph.node[position] for position in live_nodes(graph, producers(graph), known, output)]
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
    for node in nodes:
        node.name = ""  # onnxruntime refuses two nodes of one name, which exporters write
    stored = {tensor.name for tensor in graph.initializer}
    entries = [entry for entry in graph.input if entry.name not in stored]
    entry = onnx.ValueInfoProto.FromString(entries[0].SerializeToString())
    declared = [item for item in graph.output if item.name == output] or [entry]
    kind = declared[0].type.tensor_type.elem_type
    del graph.node[:], graph.output[:], graph.value_info[:]
    graph.output.extend([helper.make_tensor_value_info(output, kind, None)])
    graph.node.extend(nodes)
    del graph.input[:]
    graph.input.extend([entry])
    return model


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession | str:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as failure:  # noqa: BLE001 - its error classes are not public
        _raise_shortage(failure)
        return "onnxruntime refuses the model"


def _raise_shortage(failure: Exception) -> None:
    """Say in Python's words that memory ran out: that is no refusal of the model."""
    if any(sign in str(failure) for sign in _SHORTAGE):
        raise MemoryError(str(failure)) from failure
