"""What a network is uploaded for, and the exact nodes that this adds behind its output."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from glocert.errors import Offence, UnsupportedOutput
from glocert.graph.append import appended, reshaped
from glocert.graph.imported import Imported, Tail, as_classifier, class_axis
from glocert.graph.ir import Graph

_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Purpose:
    """What the numbers that the network returns are taken for.

    Attributes:
        role: ``classifier`` (the label is the place of the best score), ``regressor`` (every output is a
            number of its own), ``generator`` or ``encoder`` (outputs of any shape).
        threshold: of a classifier with one output: label 1 where the output is greater, else 0.
        decision: of a classifier: ``max`` or ``min``, which score is the best.
    """

    role: str = "classifier"
    threshold: float | None = None
    decision: str = "max"


def as_used(imported: Imported, purpose: Purpose) -> Imported:
    """Put functions back that the importer cut off, unless only the order of scores counts.

    The Sigmoid in front of a threshold of one half stays away: it is above one half exactly where what it
    is taken of is above zero.
    """
    if purpose.role == "classifier" and (purpose.threshold is None or _is_half(imported, purpose)):
        return imported
    if not imported.tails:
        return imported
    dropped = {tail.note() for tail in imported.tails}
    graph = imported.graph
    graph = replace(graph, notes=tuple(note for note in graph.notes if note not in dropped))
    for tail in reversed(imported.tails):
        graph = _restored(graph, tail)
    return replace(imported, graph=graph, tails=(), scores=imported.output)


def decided(imported: Imported, purpose: Purpose) -> Graph:
    """Return the graph whose output has the shape that the purpose needs.

    Args:
        imported: what ``as_used`` returned for the same purpose.
        purpose: see there.

    Returns:
        Class scores of shape (classes,), the largest of which decides; numbers of shape (outputs,) for a
        regressor; the graph itself for a generator or an encoder.

    Raises:
        UnsupportedOutput: the output is not one vector of at least two scores; or a threshold is given and
            it is not a single number.
    """
    graph = imported.graph
    if purpose.role == "regressor":
        return reshaped(graph, (math.prod(graph.output_shape),), "numbers")
    if purpose.role != "classifier":
        return graph
    if purpose.threshold is not None:
        return _against_threshold(graph, imported, purpose)
    scores = as_classifier(graph)
    return _negated(scores) if purpose.decision == "min" else scores


def _is_half(imported: Imported, purpose: Purpose) -> bool:
    cut = [tail.operator for tail in imported.tails]
    return cut == ["Sigmoid"] and purpose.threshold == _HALF


def _against_threshold(graph: Graph, imported: Imported, purpose: Purpose) -> Graph:
    """Return scores (threshold, output): multiplying by 0 and 1 and adding 0 changes no number."""
    if any(size != 1 for size in graph.output_shape):
        detail = f"it has shape {['batch', *graph.output_shape]}, a threshold is for a single number"
        way_out = "Leave `threshold` out: the largest score decides."
        raise UnsupportedOutput(
            f"Output {imported.output!r}: {detail}. {way_out}",
            [Offence(imported.output, detail, way_out=way_out)],
        )
    number = reshaped(graph, (1,), "number")
    dtype = np.dtype(imported.dtype)
    wanted = 0.0 if imported.tails else float(purpose.threshold or 0.0)
    with np.errstate(over="ignore"):
        threshold = dtype.type(wanted)
    if not np.isfinite(threshold):
        raise UnsupportedOutput(f"The threshold {wanted!r} does not fit {dtype}.")
    rule = f"Label 1 is an output {imported.output!r} greater than {purpose.threshold!r}, label 0 any other."
    notes = [rule]
    if imported.tails:
        notes.append("Sigmoid exceeds 0.5 exactly where what it is taken of exceeds 0, the threshold used.")
    elif float(threshold) != wanted:
        notes.append(f"The threshold is {float(threshold)!r}, the number of type {dtype} next to it.")
    select = np.array([[0.0, 1.0]], dtype)
    spread = appended(number, "MatMul", "select", (2,), select)
    offset = np.array([threshold, 0.0], dtype)
    scores = appended(spread, "Add", "threshold", (2,), offset)
    return replace(scores, notes=(*scores.notes, *notes))


def _negated(graph: Graph) -> Graph:
    dtype = next((array.dtype for array in graph.parameters.values()), np.dtype(np.float32))
    minus = np.array(-1.0, dtype)
    negated = appended(graph, "Mul", "negated", graph.output_shape, minus)
    note = "The smallest score decides: scores and margins are those of the negated outputs."
    return replace(negated, notes=(*negated.notes, note))


def _restored(graph: Graph, tail: Tail) -> Graph:
    shape = graph.output_shape
    if tail.operator == "Sigmoid":
        return appended(graph, "Sigmoid", "sigmoid", shape)
    axis = class_axis(shape)
    softmax = appended(graph, "Softmax", "softmax", shape, attributes={"axis": axis or 0})
    return softmax if tail.operator == "Softmax" else appended(softmax, "Log", "log", shape)
