"""Re-checks the proof of one segment: no search and no solver, one pass through the network.

A proof is a document: the digest of the graph, the two ends of the path with the radius of each coordinate,
the pieces ``[from, to, label]`` of the path, the label that should win, the margin, the largest error that
the proof admits, and the verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from glocert_check.graph import Float64, Graph, read
from glocert_check.operators import TRANSFERS, UNIT, Curve

FORMAT = "glocert-proof/1"


class Rejected(Exception):
    """The proof does not hold; the message says where."""


def check(data: bytes, proof: Mapping[str, Any]) -> None:
    """Return when the proof holds for the graph in ``data``.

    Raises:
        Rejected: it does not, or it cannot be shown to.
        ValueError: ``data`` is not a graph file.
    """
    graph = read(data)
    _require(proof.get("format") == FORMAT, "not a proof of a known format")
    _require(proof["graph_sha256"] == graph.sha256, "the proof is about another graph")
    t, labels = _pieces(proof["pieces"])
    scores = _follow(graph, _path(graph, proof, t))
    values, error = scores.values.reshape(len(t), -1), scores.radius.reshape(-1)
    _require(bool(np.isfinite(values).all() and np.isfinite(error).all()), "a number is not finite")
    _require(float(error.max()) <= proof["error"], f"the error reaches {error.max():.3g} on these pieces")
    _labels(values, error, labels)
    lead, unknown = _lead(values, error, proof)
    if proof["verdict"] == "certified":
        _require(bool((lead > unknown).all()), f"label {proof['label']} is not proven to win everywhere")
    elif proof["verdict"] == "falsified":
        _require(bool((lead < -unknown).any()), f"label {proof['label']} is nowhere proven to lose")
    else:
        _require(proof["verdict"] == "undecided", "an unknown verdict")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Rejected(otherwise)


def _pieces(pieces: list[Any]) -> tuple[Float64, list[int]]:
    """Return the vertices and the label of each piece; they must cover [0, 1] without a gap."""
    _require(bool(pieces), "there are no pieces")
    starts, stops, labels = zip(*pieces, strict=True)
    _require(starts[0] == 0.0 and stops[-1] == 1.0, "the pieces do not reach from 0 to 1")
    _require(list(starts[1:]) == list(stops[:-1]), "there is a gap between two pieces")
    t = np.array([*starts, stops[-1]], np.float64)
    _require(bool((np.diff(t) > 0).all()), "the pieces are not in order")
    return t, list(labels)


def _path(graph: Graph, proof: Mapping[str, Any], t: Float64) -> Curve:
    """Return the path at the vertices; its own radius and the rounding of each point are the first errors."""
    shape = tuple(graph.structure["shapes"][graph.structure["input"]])
    start, stop, radius = (
        np.asarray(proof[name], np.float64).reshape(shape) for name in ("start", "stop", "radius")
    )
    values = start + t.reshape(-1, *[1] * len(shape)) * (stop - start)
    return Curve(values, radius + 16 * UNIT * (np.abs(start) + np.abs(stop)))


def _follow(graph: Graph, path: Curve) -> Curve:
    known: dict[str, Any] = {**graph.parameters, graph.structure["input"]: path}
    for node in graph.structure["nodes"]:
        _require(node["operator"] in TRANSFERS, f"{node['name']}: {node['operator']} cannot be checked")
        shape = tuple(graph.structure["shapes"][node["output"]])
        known[node["output"]] = TRANSFERS[node["operator"]](
            node, shape, [known[name] for name in node["inputs"]]
        )
    scores = known[graph.structure["output"]]
    assert isinstance(scores, Curve)
    return scores


def _labels(values: Float64, error: Float64, labels: list[int]) -> None:
    """At both ends of every piece its label must win, up to what is not known."""
    for piece, label in enumerate(labels):
        _require(isinstance(label, int) and 0 <= label < values.shape[1], f"piece {piece} has no such label")
        lead = values[piece : piece + 2, [label]] - values[piece : piece + 2]
        allowed = 4 * (error + error[label]) + 16 * UNIT * np.abs(values).max()
        _require(bool((lead >= -allowed).all()), f"another label than {label} wins on piece {piece}")


def _lead(values: Float64, error: Float64, proof: Mapping[str, Any]) -> tuple[Float64, Float64]:
    """Return by how much the label exceeds margin and every other score at each vertex, and what is unknown.

    Between two vertices a lead is a straight line up to its error: what holds at both ends holds in between.
    """
    label = proof["label"]
    _require(isinstance(label, int) and 0 <= label < values.shape[1], "there is no such label")
    lead = np.delete(values[:, [label]] - values, label, axis=1) - proof["margin"]
    most = np.abs(values).max() + abs(proof["margin"])
    unknown = (np.delete(error, label) + error[label] + 16 * UNIT * most) * (1 + 16 * UNIT)
    return lead, unknown
