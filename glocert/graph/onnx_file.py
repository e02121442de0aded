"""An ONNX file as a protobuf message whose container holds no surprise; operators are looked at elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from glocert.errors import InvalidGraph, Offence, UnreadableModel
from glocert.graph.limits import Limits
from glocert.graph.onnx_functions import inlined
from glocert.graph.wire import Malformed, check_message

OPSETS = range(7, 24)
IR_VERSIONS = range(3, onnx.IR_VERSION + 1)
DEFAULT_DOMAINS = ("", "ai.onnx")
WAY_OUT = (
    "Export with the weights inside, e.g. torch.onnx.export(..., external_data=False), "
    "or upload a .zip of the model and its data files."
)


def parse(data: bytes, limits: Limits) -> onnx.ModelProto:
    """Read the message and refuse what is no single-file network of a known version.

    Raises:
        UnreadableModel: empty, not ONNX, no graph, an unknown version, or weights in another file.
        ModelTooLarge: the file, the nodes or a name exceed a limit.
        UnsupportedOperators: a function that the model defines cannot be put in the places that call it.
        InvalidGraph: a name is missing or used twice.
    """
    if not data:
        raise UnreadableModel("The file is empty.")
    if len(data) > limits.file_bytes:
        raise limits.exceeded(f"The file has {len(data)} bytes", "file_bytes")
    model = message(data, limits)
    if model is None:
        raise UnreadableModel("The file is not a readable ONNX model.")
    if not model.HasField("graph"):
        raise UnreadableModel("The file is not a readable ONNX model: it has no graph.")
    _check_versions(model)
    model = inlined(model, limits)
    _check_container(model, limits)
    _check_names(model.graph)
    return model


def message(data: bytes, limits: Limits) -> onnx.ModelProto | None:
    """Return the protobuf message that may be a model, or None where the bytes are none.

    Raises:
        ModelTooLarge: the message is too deep or has too many fields.
    """
    model = onnx.ModelProto()
    try:
        check_message(data, onnx.ModelProto.DESCRIPTOR, limits)
        model.ParseFromString(data)
    except (DecodeError, Malformed):
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
    versions = {entry.version for entry in model.opset_import if entry.domain in DEFAULT_DOMAINS}
    if len(versions) > 1:
        raise UnreadableModel("The model imports two versions of the standard operators.")
    if opset(model) not in OPSETS:
        raise UnreadableModel(
            f"Unsupported opset {opset(model)}; opsets {OPSETS[0]} to {OPSETS[-1]} are supported."
        )


def _check_container(model: onnx.ModelProto, limits: Limits) -> None:
    graph = model.graph
    _check_counts(graph, limits)
    if graph.sparse_initializer:
        raise InvalidGraph("Sparse initialisers are not supported.")
    external = [tensor.name for tensor in tensors(graph) if is_external(tensor)]
    if external:
        offences = [Offence(name, "its numbers are in another file", way_out=WAY_OUT) for name in external]
        raise UnreadableModel(f"External data is not accepted on its own. {WAY_OUT}", offences)
    for name in (model.producer_name, model.producer_version, *_names(graph)):
        if not isinstance(name, str) or "\0" in name:  # protobuf hands bytes over where they are no UTF-8
            raise UnreadableModel("A name in the model is not text.")
        if len(name) > limits.name:
            raise limits.exceeded(f"A name has {len(name)} characters", "name")


def _check_counts(graph: onnx.GraphProto, limits: Limits) -> None:
    """Compare numbers of things with the limits before any of them is looked at."""
    most = max((len(node.attribute) for node in graph.node), default=0)
    counts = (
        (len(graph.node), "nodes", "nodes"),
        (len(graph.initializer), "stored tensors", "initializers"),
        (len(graph.input), "inputs", "inputs"),
        (len(graph.output), "outputs", "outputs"),
        (most, "attributes on one node", "attributes"),
    )
    for count, what, limit in counts:
        if count > getattr(limits, limit):
            raise limits.exceeded(f"The graph has {count} {what}", limit)


def is_external(tensor: onnx.TensorProto) -> bool:
    """Whether a tensor's numbers are said to be in another file."""
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
