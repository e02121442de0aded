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
    length = tail.emit("Unsqueeze", tail.emit("ReduceL2", INPUT, axes, keepdims=0), AXIS)
    known = _known(tail, length)
    column = tail.emit("ArgMax", SCORES, axis=1, keepdims=1)
    label = tail.emit("Squeeze", column, AXIS)
    top = tail.emit("GatherElements", SCORES, column, axis=1)
    classes = tail.constant(list(range(len(pairs))), "classes", np.int64)
    best = tail.emit("Equal", column, classes)
    rivals = _Rivals(top, tail.emit("Gather", PAIRS, label, axis=0), best, _slack(tail, length))
    radius = tail.emit("Where", known, _reach(tail, rivals), ZERO)
    certified = tail.emit("And", known, tail.emit("Greater", radius, EPSILON))
    none = tail.constant(BOTTOM, "bottom", np.int64)
    tail.emit("Squeeze", tail.emit("Where", certified, column, none), AXIS, name=OUTPUTS[1])
    tail.emit("Squeeze", certified, AXIS, name=OUTPUTS[2])
    tail.emit("Squeeze", radius, AXIS, name=OUTPUTS[3])
    _joined(tail, known, _bottom(tail, rivals, certified))
    return tail


@dataclass(frozen=True, slots=True)
class _Rivals:
    """Names of what the best class is compared by.

    Attributes:
        top: its score, (N, 1).
        steep: its row of constants, (N, classes).
        best: which column it is, told by its index, (N, classes).
        slack: of the input, (N, 1).
    """

    top: str
    steep: str
    best: str
    slack: str


def _known(tail: Tail, length: str) -> str:
    """Which rows are finite and of a size that the constants hold for."""
    total = tail.emit("ReduceL1", SCORES, AXIS, keepdims=1)
    near = tail.emit("LessOrEqual", length, FAR)
    small = tail.emit("LessOrEqual", total, tail.constant(LARGEST, "largest"))
    positive = tail.emit("GreaterOrEqual", EPSILON, ZERO)
    finite = tail.emit("LessOrEqual", EPSILON, FAR)
    return tail.emit("And", tail.emit("And", near, small), tail.emit("And", positive, finite))


def _slack(tail: Tail, length: str) -> str:
    """The slack of every input, (N, 1)."""
    fixed, rate, added, limit = TERMS
    size = tail.emit("Min", tail.emit("Add", length, added), limit)
    return tail.emit("Add", fixed, tail.emit("Mul", rate, size))


def _reach(tail: Tail, rivals: _Rivals) -> str:
    """The smallest radius over all rivals, rounded down."""
    lead = tail.emit("Mul", tail.emit("Sub", rivals.top, SCORES), tail.constant(LEAD, "lead"))
    left = tail.emit("Sub", lead, rivals.slack)
    ratio = tail.emit("Where", tail.emit("Greater", left, ZERO), tail.emit("Div", left, rivals.steep), ZERO)
    others = tail.emit("Where", rivals.best, tail.constant(np.inf, "infinite"), ratio)
    least = tail.emit("ReduceMin", others, AXIS, keepdims=1)
    down = tail.emit("Mul", least, tail.constant(DOWN, "down"))
    less = tail.emit("Sub", down, tail.constant(TINY, "tiny"))
    return tail.emit("Clip", less, ZERO, FAR)


def _bottom(tail: Tail, rivals: _Rivals, certified: str) -> str:
    """What a rival may reach; above the best class where nothing is certified."""
    lifted = tail.emit("Add", SCORES, tail.emit("Mul", EPSILON, rivals.steep))
    others = tail.emit("Where", rivals.best, tail.constant(-np.inf, LOWEST), lifted)
    highest = tail.emit("ReduceMax", others, AXIS, keepdims=1)
    rival = tail.emit("Add", highest, rivals.slack)
    step = tail.emit("Max", tail.emit("Abs", rivals.top), tail.constant(1.0, "one"))
    above = tail.emit("Max", rival, tail.emit("Add", rivals.top, step))
    return tail.emit("Where", certified, tail.emit("Min", rival, rivals.top), above)


def _joined(tail: Tail, known: str, bottom: str) -> None:
    """Class columns and bottom; a row that cannot be answered is bottom for every reader."""
    classes = tail.emit("Where", known, SCORES, LOWEST)
    answer = tail.emit("Where", known, bottom, ZERO)
    tail.emit("Concat", classes, answer, name=OUTPUTS[0], axis=1)
