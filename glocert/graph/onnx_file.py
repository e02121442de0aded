"""An ONNX file as a protobuf message whose container holds no surprise; operators are looked at elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from glocert.errors import InvalidGraph, ModelTooLarge, Offence, UnreadableModel, UnsupportedOperators
from glocert.graph.limits import Limits

OPSETS = range(7, 24)
IR_VERSIONS = range(3, onnx.IR_VERSION + 1)
DEFAULT_DOMAINS = ("", "ai.onnx")


def parse(data: bytes, limits: Limits) -> onnx.ModelProto:
    """Read the message and refuse what is no single-file network of a known version.

    Raises:
        UnreadableModel: empty, not ONNX, no graph, an unknown version, or weights in another file.
        ModelTooLarge: the file, the nodes or a name exceed a limit.
        UnsupportedOperators: the model defines functions.
        InvalidGraph: a name is missing or used twice.
    """
    if not data:
        raise UnreadableModel("The file is empty.")
    if len(data) > limits.file_bytes:
        raise ModelTooLarge(f"The file is larger than {limits.file_bytes} bytes.")
    model = _message(data)
    if model is None:
        raise UnreadableModel("The file is not a readable ONNX model.")
    if not model.HasField("graph"):
        raise UnreadableModel("The file is not a readable ONNX model: it has no graph.")
    _check_versions(model)
    _check_container(model, limits)
    _check_names(model.graph)
    return model


def is_message(data: bytes) -> bool:
    """Whether the bytes are a protobuf message that may be a model."""
    return _message(data) is not None


def _message(data: bytes) -> onnx.ModelProto | None:
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        return None
    return model


def opset(model: onnx.ModelProto) -> int:
    """Return the version of the standard operators that the model imports, 0 if none."""
    return next((entry.version for entry in model.opset_import if entry.domain in DEFAULT_DOMAINS), 0)


def tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Yield every stored tensor: initialisers and attributes, not those of subgraphs."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _check_versions(model: onnx.ModelProto) -> None:
    if model.ir_version not in IR_VERSIONS:
        raise UnreadableModel(
            f"Unsupported IR version {model.ir_version}; {IR_VERSIONS[0]} to {IR_VERSIONS[-1]} are supported."
        )
    if opset(model) not in OPSETS:
        raise UnreadableModel(
            f"Unsupported opset {opset(model)}; opsets {OPSETS[0]} to {OPSETS[-1]} are supported."
        )


def _check_container(model: onnx.ModelProto, limits: Limits) -> None:
    graph = model.graph
    if len(graph.node) > limits.nodes:
        raise ModelTooLarge(f"The graph has {len(graph.node)} nodes, more than {limits.nodes}.")
    if model.functions:
        offences = [
            Offence(f"function {function.name}", "model functions are not supported", way_out="Inline them.")
            for function in model.functions
        ]
        raise UnsupportedOperators("The model defines functions of its own.", offences)
    if graph.sparse_initializer:
        raise InvalidGraph("Sparse initialisers are not supported.")
    external = [tensor.name for tensor in tensors(graph) if _is_external(tensor)]
    if external:
        way_out = "Export with the weights inside, e.g. torch.onnx.export(..., external_data=False)."
        offences = [Offence(name, "its numbers are in another file", way_out=way_out) for name in external]
        raise UnreadableModel(
            "External data is not accepted: re-export the model with its weights inside.", offences
        )
    for name in (model.producer_name, model.producer_version, *_names(graph)):
        if not isinstance(name, str) or "\0" in name:  # protobuf hands bytes over where they are no UTF-8
            raise UnreadableModel("A name in the model is not text.")
        if len(name) > limits.name:
            raise ModelTooLarge(f"A name has {len(name)} characters, more than {limits.name}.")


def _is_external(tensor: onnx.TensorProto) -> bool:
    return tensor.data_location == onnx.TensorProto.EXTERNAL or len(tensor.external_data) > 0


def _names(graph: onnx.GraphProto) -> Iterator[str | bytes]:
    for item in (*graph.initializer, *graph.input, *graph.output, *graph.node):
        yield item.name
    for node in graph.node:
        yield node.op_type
        yield node.domain
        yield from node.input
        yield from node.output
        for attribute in node.attribute:
            yield attribute.name


def _check_names(graph: onnx.GraphProto) -> None:
    """Refuse a tensor that two things make."""
    initializers = [tensor.name for tensor in graph.initializer]
    inputs = [entry.name for entry in graph.input if entry.name not in set(initializers)]
    made = [name for node in graph.node for name in node.output if name]
    seen: set[str] = set()
    doubles = []
    for name in (*initializers, *inputs, *made):
        if name in seen:
            doubles.append(Offence(name, "this tensor is defined more than once"))
        seen.add(name)
    if doubles:
        raise InvalidGraph("Names are used more than once.", doubles)
