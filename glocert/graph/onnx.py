"""ONNX -> Graph: every node is looked up in ``onnx_operators`` and nothing is executed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import onnx
from onnx import TensorProto

from glocert.errors import InvalidGraph, ModelRejected, Offence
from glocert.graph import onnx_operators
from glocert.graph.builder import GraphBuilder
from glocert.graph.imported import Imported, Tail, class_axis
from glocert.graph.limits import Limits
from glocert.graph.onnx_file import DEFAULT_DOMAINS, opset, parse
from glocert.graph.onnx_input import only_input, resolve_input
from glocert.graph.onnx_operators.registry import OPERATORS, Call, Result, is_known, meaning
from glocert.graph.onnx_order import live_nodes, producers, trailing
from glocert.graph.onnx_output import SHOWN_OUTPUTS, chosen_output, outputs
from glocert.graph.onnx_refusals import check_varying, unknown
from glocert.graph.onnx_tensors import load_initializers, stored_weights
from glocert.graph.refusals import Refusals
from glocert.graph.shapes import ShapeError
from glocert.graph.single import NOTE, Single
from glocert.graph.values import Activation, Batch, Emitter, Unsupported, Value

__all__ = ["onnx_operators", "read_onnx"]

_SHAPES = frozenset({"Shape", "Size"})
"""Operators whose value is known although their input varies."""


@dataclass(frozen=True, slots=True)
class _Missing:
    """Stands for what a refused node would have made.

    Attributes:
        detail: why whoever reads it is refused as well; empty where that is no fault of the reader.
        varies: whether it depends on the model's input.
    """

    detail: str = ""
    varies: bool = True


@dataclass(slots=True)
class _Reader:
    """One import under way; ``open`` says whether the file leaves the length of its batch open."""

    model: onnx.ModelProto
    builder: GraphBuilder
    batch: Batch
    values: dict[str, Value | _Missing]
    refusals: Refusals = field(default_factory=Refusals)
    tails: list[Tail] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    scores: str = ""
    single: Single | None = None


def read_onnx(
    data: bytes,
    *,
    input_shape: Sequence[int] | None = None,
    output: str | None = None,
    limits: Limits | None = None,
) -> Imported:
    """Translate an ONNX file.

    Args:
        data: the whole file.
        input_shape: per-sample shape, where the file leaves it open; naming every axis of the file's input
            says that none of them is a batch axis.
        output: name or position of the output to use; the first by default.
        limits: what must not be exceeded.

    Returns:
        The graph with what is known about the upload.

    Raises:
        ModelRejected: one of its subclasses; offences name every node or tensor at fault.
    """
    limits = limits or Limits()
    model = parse(data, limits)
    constants = load_initializers(model.graph, limits)
    entry = only_input(model.graph, constants)
    shape, batch = resolve_input(entry, input_shape)
    chosen = chosen_output(model.graph, output)
    makers = producers(model.graph)
    nodes = live_nodes(model.graph, makers, {*constants, entry.name}, chosen)
    last = trailing(model.graph, makers, chosen)

    def attempt(single: bool, cut: bool = True) -> _Reader:
        builder = GraphBuilder.start(entry.name, shape, limits)
        values: dict[str, Value | _Missing] = {**constants, entry.name: Activation(builder.input, shape)}
        known = Batch(size=1) if single else replace(batch)
        reader = _Reader(model, builder, known, values)
        reader.single = Single(builder, known) if single else None
        for position in nodes:
            _read_node(reader, position, cut and position in last)
        return attempt(single, cut=False) if _is_scattered(reader, chosen) else reader

    reader = attempt(single=False)
    if reader.refusals.found and batch.present and batch.size == 1:
        reader = _for_one_sample(reader, attempt)
    reader.refusals.raise_any()
    return _finished(reader, chosen, [model.graph.node[position] for position in nodes], entry)


def _is_scattered(reader: _Reader, output: str) -> bool:
    """Whether scores that a cut-off function joins are no longer along one axis of the output."""
    value = reader.values[output]
    joins = any(tail.operator != "Sigmoid" for tail in reader.tails)
    return joins and isinstance(value, Activation) and class_axis(value.shape) is None


def _for_one_sample(refused: _Reader, attempt: Callable[[bool], _Reader]) -> _Reader:
    """Read a refused file whose batch is fixed at one for that one sample.

    Not where the batch is open: what moves the batch axis may mix the samples of a larger batch, and nothing
    that is certified for one sample would hold there.
    """
    try:
        reader = attempt(True)
    except ModelRejected:
        return refused
    if reader.refusals.found or reader.single is None:
        return refused
    reader.notes.append(NOTE)
    return reader


def _read_node(reader: _Reader, position: int, last: bool) -> None:
    """Translate one node, or note why not; what depends on a refused node is passed over."""
    node = reader.model.graph.node[position]
    where = node.name or f"node {position} ({node.op_type})"
    operator = f"{node.domain or 'ai.onnx'}::{node.op_type}"
    try:
        value: Result | _Missing = _translated(reader, node, where, last)
    except Unsupported as refusal:
        reader.refusals.operators.append(Offence(where, refusal.detail, operator, refusal.way_out))
        value = _Missing(varies=_varies(reader, node))
    except ShapeError as fault:
        reader.refusals.structure.append(
            Offence(where, f"shape mismatch at {node.op_type}: {fault}", operator)
        )
        value = _Missing()
    except (ValueError, TypeError, LookupError, ArithmeticError):
        detail = f"the inputs or attributes of {node.op_type} do not fit together"
        reader.refusals.structure.append(Offence(where, detail, operator))
        value = _Missing()
    _store(reader, node, where, value)


def _store(reader: _Reader, node: onnx.NodeProto, where: str, value: Result | _Missing) -> None:
    """Give every output of a node its value; those of a refused node are all missing."""
    values = list(value) if isinstance(value, Sequence) else [value]
    lacking = (
        value
        if isinstance(value, _Missing)
        else _Missing(f"it reads an output of {where} other than those that are supported")
    )
    for position, name in enumerate(node.output):
        if name:
            reader.values[name] = values[position] if position < len(values) else lacking


def _translated(reader: _Reader, node: onnx.NodeProto, where: str, last: bool) -> Result | _Missing:
    tail = last and node.op_type in Tail.OPERATORS
    if node.domain not in DEFAULT_DOMAINS or not (tail or is_known(node.op_type)):
        raise unknown(node, opset(reader.model))
    if not tail and node.op_type not in OPERATORS and _varies(reader, node):
        raise unknown(node, opset(reader.model))
    inputs = [reader.values[name] if name else None for name in node.input]
    missing = [value for value in inputs if isinstance(value, _Missing)]
    if missing:
        return _behind_missing(reader, node, missing)
    known = tuple(value for value in inputs if not isinstance(value, _Missing))

    def compute(inputs: tuple[Any, ...], batch: Batch) -> Result:
        emitter = Emitter(reader.builder, batch, where, node.op_type, node.output[0])
        call = Call(node, opset(reader.model), inputs, emitter)
        result = _cut_off(reader, call) if tail else meaning(node.op_type, inputs)(call)
        if call.unread():
            raise Unsupported(f"its attributes {', '.join(call.unread())} are not supported")
        return result

    if reader.single is None:
        return compute(known, reader.batch)
    result: Result = reader.single.apply(known, compute)
    return result


def _varies(reader: _Reader, node: onnx.NodeProto) -> bool:
    values = [reader.values[name] for name in node.input if name]
    return any(
        value.varies if isinstance(value, _Missing) else isinstance(value, Activation) for value in values
    )


def _behind_missing(reader: _Reader, node: onnx.NodeProto, missing: Sequence[_Missing]) -> _Missing:
    """Refuse a node behind a refused one for what is wrong with it whatever its input is."""
    for value in missing:
        if value.detail:
            raise Unsupported(value.detail)
    varying = [_varies(reader, onnx.NodeProto(input=[name])) for name in node.input]
    check_varying(node, varying)
    return _Missing(varies=any(varying) and node.op_type not in _SHAPES)


def _cut_off(reader: _Reader, call: Call) -> Value:
    """Leave out a function of the scores that keeps their order."""
    x, operator = call.activation(), call.node.op_type
    if operator != "Sigmoid":
        axis = call.integer("axis", -1 if call.opset >= 13 else 1)
        inner = call.emitter.axis(axis, len(x.shape))
        classes = class_axis(x.shape)
        # Before opset 13 every axis from the named one on was one set of scores.
        if classes is None or not (inner == classes if call.opset >= 13 else inner <= classes):
            raise Unsupported(f"{operator} is not taken over the class scores")
    reader.tails.insert(0, Tail(operator))
    reader.scores = reader.scores or call.node.input[0]
    return x


def _finished(
    reader: _Reader, output: str, nodes: Sequence[onnx.NodeProto], entry: onnx.ValueInfoProto
) -> Imported:
    value = reader.values[output]
    if not isinstance(value, Activation):
        raise InvalidGraph(f"Output {output!r} does not depend on the input.")
    offered = outputs(reader.model.graph, output, reader.batch)
    others = [repr(item.name) for item in offered if not item.used]
    if others:
        left = ", ".join(others[:SHOWN_OUTPUTS]) + (", …" if len(others) > SHOWN_OUTPUTS else "")
        reader.notes.append(f"Of several outputs {output!r} is used; {left} left out.")
    reader.notes += [tail.note() for tail in reader.tails]
    model = reader.model
    producer = f"{model.producer_name} {model.producer_version}".strip()
    return Imported(
        graph=reader.builder.finish(value.name, reader.notes),
        format="onnx",
        opset=opset(model),
        producer=producer[:200],
        operators=dict(sorted(Counter(node.op_type for node in nodes).items())),
        tails=tuple(reader.tails),
        batch=reader.batch,
        dtype="float64" if entry.type.tensor_type.elem_type == TensorProto.DOUBLE else "float32",
        output=output,
        scores=reader.scores or output,
        outputs=offered,
        parameters=stored_weights(model.graph, nodes),
    )
