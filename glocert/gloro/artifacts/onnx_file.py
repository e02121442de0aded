"""A wrapped network as ONNX: the network, and behind its scores the nodes of ``decide``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from glocert.gloro.artifacts.decision import BOTTOM, DOWN, LEAD
from glocert.gloro.artifacts.slack import REACH, TINY
from glocert.gloro.artifacts.wrapped import LARGEST, Wrapped
from glocert.graph.export import to_onnx
from glocert.graph.wrapped import EPSILON, INPUT, OUTPUTS, SCORES

PREFIX = "decision/"
PAIRS = PREFIX + "pairs"
TERMS = tuple(PREFIX + word for word in ("fixed", "rate", "added", "limit"))
FAR, AXIS, ZERO, LOWEST = (PREFIX + word for word in ("reach", "axis", "zero", "lowest"))


@dataclass(slots=True)
class Tail:
    """The nodes behind the scores, and their constants."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def constant(self, value: object, name: str, dtype: type = np.float32) -> str:
        """Store a constant."""
        name = name if name == EPSILON or name.startswith(PREFIX) else PREFIX + name
        self.constants.append(numpy_helper.from_array(np.array(value, dtype), name))
        return name

    def emit(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Append a node and return the name of its output."""
        output = name or f"{PREFIX}{len(self.nodes)}"
        node = helper.make_node(
            operator, inputs, [output], name=f"{PREFIX}node{len(self.nodes)}", **attributes
        )
        self.nodes.append(node)
        return output


def to_wrapped_onnx(wrapped: Wrapped) -> bytes:
    """Return the ONNX file; equal networks give equal bytes.

    ``epsilon`` is an input with a default: a session may be run without it.
    """
    model = onnx.ModelProto.FromString(to_onnx(wrapped.network))
    rank = len(wrapped.network.input_shape)
    tail = tail_of(wrapped.pairs, wrapped.terms, wrapped.epsilon, rank)
    graph = model.graph
    graph.node.extend(tail.nodes)
    graph.initializer.extend(tail.constants)
    graph.input.append(helper.make_tensor_value_info(EPSILON, TensorProto.FLOAT, []))
    del graph.output[:]
    graph.output.extend(declared(wrapped.classes))
    return bytes(model.SerializeToString(deterministic=True))


def declared(classes: int) -> list[onnx.ValueInfoProto]:
    """Return the declarations of the outputs, in their order."""
    kinds = (TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL, TensorProto.FLOAT)
    shapes: list[list[Any]] = [["batch", classes + 1], ["batch"], ["batch"], ["batch"]]
    entries = zip(OUTPUTS, kinds, shapes, strict=True)
    return [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in entries]


def tail_of(pairs: NDArray[np.float32], terms: NDArray[np.float32], epsilon: np.float32, rank: int) -> Tail:
    """Return the nodes from input and scores to the answers.

    Args:
        pairs: shape (classes, classes).
        terms: shape (4,): of the slack.
        epsilon: the default.
        rank: of an input without its batch axis.
    """
    tail = Tail()
    tail.constant(pairs, PAIRS)
    for name, value in zip(TERMS, terms, strict=True):
        tail.constant(value, name)
    tail.constant(epsilon, EPSILON)
    tail.constant(0.0, ZERO)
    tail.constant([1], AXIS, np.int64)
    tail.constant(REACH, FAR)
    axes = tail.constant(list(range(1, rank + 1)), "axes", np.int64)
    length = tail.emit("ReduceL2", INPUT, axes, keepdims=0)
    known = _known(tail, length)
    label = tail.emit("ArgMax", SCORES, axis=1, keepdims=0)
    column = tail.emit("Unsqueeze", label, AXIS)
    top = tail.emit("GatherElements", SCORES, column, axis=1)
    rivals = _Rivals(top, tail.emit("Gather", PAIRS, label, axis=0), column, _slack(tail, length))
    radius = tail.emit("Where", known, _reach(tail, rivals), ZERO, name=OUTPUTS[3])
    further = tail.emit("Greater", radius, EPSILON)
    certified = tail.emit("And", known, further, name=OUTPUTS[2])
    tail.emit("Where", certified, label, tail.constant(BOTTOM, "bottom", np.int64), name=OUTPUTS[1])
    _joined(tail, known, _bottom(tail, rivals, certified))
    return tail


@dataclass(frozen=True, slots=True)
class _Rivals:
    """Names of what the best class is compared by.

    Attributes:
        top: its score, (N, 1).
        steep: its row of constants, (N, classes).
        column: its index, (N, 1).
        slack: of the input, (N, 1).
    """

    top: str
    steep: str
    column: str
    slack: str


def _known(tail: Tail, length: str) -> str:
    """Which rows are finite and of a size that the constants hold for."""
    total = tail.emit("ReduceL1", SCORES, AXIS, keepdims=0)
    near = tail.emit("LessOrEqual", length, FAR)
    small = tail.emit("LessOrEqual", total, tail.constant(LARGEST, "largest"))
    positive = tail.emit("GreaterOrEqual", EPSILON, ZERO)
    finite = tail.emit("LessOrEqual", EPSILON, FAR)
    return tail.emit("And", tail.emit("And", near, small), tail.emit("And", positive, finite))


def _slack(tail: Tail, length: str) -> str:
    """The slack of every input, (N, 1)."""
    fixed, rate, added, limit = TERMS
    size = tail.emit("Min", tail.emit("Add", length, added), limit)
    slack = tail.emit("Add", fixed, tail.emit("Mul", rate, size))
    return tail.emit("Unsqueeze", slack, AXIS)


def _without_best(tail: Tail, values: str, column: str, instead: str) -> str:
    """Replace the column of the best class, told by its index."""
    shape = tail.emit("Shape", column)
    filled = tail.emit("Expand", instead, shape)
    return tail.emit("ScatterElements", values, column, filled, axis=1)


def _reach(tail: Tail, rivals: _Rivals) -> str:
    """The smallest radius over all rivals, rounded down."""
    lead = tail.emit("Mul", tail.emit("Sub", rivals.top, SCORES), tail.constant(LEAD, "lead"))
    left = tail.emit("Sub", lead, rivals.slack)
    ratio = tail.emit("Where", tail.emit("Greater", left, ZERO), tail.emit("Div", left, rivals.steep), ZERO)
    others = _without_best(tail, ratio, rivals.column, tail.constant(np.inf, "infinite"))
    least = tail.emit("ReduceMin", others, AXIS, keepdims=0)
    down = tail.emit("Mul", least, tail.constant(DOWN, "down"))
    less = tail.emit("Sub", down, tail.constant(TINY, "tiny"))
    return tail.emit("Min", tail.emit("Max", less, ZERO), FAR)


def _bottom(tail: Tail, rivals: _Rivals, certified: str) -> str:
    """What a rival may reach; above the best class where nothing is certified."""
    lifted = tail.emit("Add", SCORES, tail.emit("Mul", EPSILON, rivals.steep))
    others = _without_best(tail, lifted, rivals.column, tail.constant(-np.inf, LOWEST))
    highest = tail.emit("ReduceMax", others, AXIS, keepdims=1)
    rival = tail.emit("Squeeze", tail.emit("Add", highest, rivals.slack), AXIS)
    first = tail.emit("Squeeze", rivals.top, AXIS)
    step = tail.emit("Max", tail.emit("Abs", first), tail.constant(1.0, "one"))
    above = tail.emit("Max", rival, tail.emit("Add", first, step))
    return tail.emit("Where", certified, tail.emit("Min", rival, first), above)


def _joined(tail: Tail, known: str, bottom: str) -> None:
    """Class columns and bottom; a row that cannot be answered is bottom for every reader."""
    column = tail.emit("Unsqueeze", known, AXIS)
    classes = tail.emit("Where", column, SCORES, LOWEST)
    answer = tail.emit("Unsqueeze", tail.emit("Where", known, bottom, ZERO), AXIS)
    tail.emit("Concat", classes, answer, name=OUTPUTS[0], axis=1)
