"""Verifying wrapped files before anybody relies on them: what they claim is proved again.

A constant that lies in a file is a claim of whoever wrote the file. So the network inside is read by our own
importer, its constants are proved anew, and those in the file must not be below them. In an ONNX file the
nodes behind the scores are compared with those that the library writes, byte by byte, so that the file is
verified by itself; of the other two formats the digest in the manifest vouches for those nodes, and a trial
run shows that they do what they should.
"""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from glocert.errors import GlocertError, UnverifiedArtifact
from glocert.gloro.artifacts.manifest import NAME, checked_format, pairs_digest, weights_digest
from glocert.gloro.artifacts.onnx_file import PAIRS, TERMS, declared, tail_of
from glocert.gloro.artifacts.single import in_single
from glocert.gloro.artifacts.slack import Slack, slack_of
from glocert.gloro.artifacts.trial import trial
from glocert.gloro.artifacts.wrapped import Wrapped
from glocert.graph.formats import read
from glocert.graph.ir import Graph
from glocert.graph.limits import Limits
from glocert.graph.pt2_archive import open_archive
from glocert.graph.wrapped import EPSILON, INPUT
from glocert.lipschitz.network import LipschitzBound, bound

_SHORT = 1 - 2.0**-22
"""How much below a slack of this machine, which has more room than that, one of another machine may lie."""


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """The constants that a file holds.

    Attributes:
        pairs: float32, shape (classes, classes).
        terms: float32, shape (4,): of the slack.
        epsilon: float32: the default.
    """

    pairs: NDArray[np.float32]
    terms: NDArray[np.float32]
    epsilon: np.float32


def verify(folder: Path, *, names: frozenset[str] | None = None) -> dict[str, Any]:
    """Verify files that lie beside their manifest, and return the manifest.

    Args:
        folder: holds ``manifest.json`` and the files.
        names: of the files to verify; all that the manifest names by default.

    Raises:
        UnverifiedArtifact: a file or the manifest is missing or changed, or claims what is not proved.
    """
    document = _manifest(folder / NAME)
    entries = [entry for entry in document["files"] if names is None or entry["name"] in names]
    if not entries or (names is not None and len(entries) < len(names)):
        raise UnverifiedArtifact("the manifest names no such file")
    for entry in entries:
        _verify_file(folder / Path(entry["name"]).name, entry, document)
    return document


def _manifest(path: Path) -> dict[str, Any]:
    try:
        return checked_format(json.loads(path.read_bytes()))
    except (OSError, ValueError, GlocertError):
        raise UnverifiedArtifact(f"there is no readable {NAME} beside the file") from None


def _verify_file(path: Path, entry: Mapping[str, Any], document: Mapping[str, Any]) -> None:
    try:
        data = path.read_bytes()
    except OSError:
        raise UnverifiedArtifact(f"{path.name} is not there") from None
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise UnverifiedArtifact(f"{path.name} is not the file that the manifest describes")
    try:
        wrapped = verified(data, entry["format"], document["input"]["shape"])
        _matches(wrapped, entry, document)
        if entry["format"] != "onnx":
            trial(wrapped, data, entry["format"], points=500)
    except UnverifiedArtifact:
        raise
    except (GlocertError, LookupError, TypeError, ValueError, RuntimeError) as failure:
        raise UnverifiedArtifact(f"{path.name} cannot be verified: {failure}") from failure


def verified(data: bytes, kind: str, shape: Sequence[int]) -> Wrapped:
    """Prove the constants of the network inside a file, and compare those that it holds.

    Args:
        data: the file.
        kind: its format.
        shape: of one input.

    Raises:
        UnverifiedArtifact: a constant is below the proved one, or an ONNX file decides otherwise.
        GlocertError: the network inside cannot be read or bounded.
    """
    network, found, slack = proved(data, kind, shape)
    stored = _stored(data, kind, len(network.input_shape))
    _check_constants(stored, found, slack)
    slack = Slack(*map(float, stored.terms))
    epsilon = stored.epsilon
    return Wrapped(in_single(network), found, stored.pairs, slack, epsilon, float(epsilon))


def proved(data: bytes, kind: str, shape: Sequence[int]) -> tuple[Graph, LipschitzBound, Slack]:
    """Return the network inside a file as our importer reads it, and what is proved of it."""
    network = read(data, kind, input_shape=shape, output=None, limits=Limits()).imported.graph
    return network, bound(network), slack_of(network)


def covers(wrapped: Wrapped, found: LipschitzBound, slack: Slack) -> bool:
    """Whether the constants of a wrapped network are not below what is proved."""
    try:
        _check_constants(Stored(wrapped.pairs, wrapped.terms, wrapped.epsilon), found, slack)
    except UnverifiedArtifact:
        return False
    return True


def _check_constants(stored: Stored, found: LipschitzBound, slack: Slack) -> None:
    least = found.pairs.numpy() + float(stored.terms[1])
    np.fill_diagonal(least, 0.0)
    terms = np.array([slack.fixed, slack.rate, slack.added, slack.limit]) * _SHORT
    if stored.pairs.shape != least.shape or not (stored.pairs >= least).all():
        raise UnverifiedArtifact("a Lipschitz constant in the file is below the proved one")
    if stored.terms.shape != terms.shape or not (stored.terms >= terms).all():
        raise UnverifiedArtifact("the file allows for less rounding than is proved")
    if not np.isfinite(stored.pairs).all() or not np.isfinite(stored.terms).all():
        raise UnverifiedArtifact("a constant in the file is not finite")


def _matches(wrapped: Wrapped, entry: Mapping[str, Any], document: Mapping[str, Any]) -> None:
    """Compare a file with what its manifest says about it and about all files."""
    if pairs_digest(wrapped.pairs) != document["constants"]["pairs"]:
        raise UnverifiedArtifact("the constants in the file are not those of the manifest")
    if weights_digest(wrapped.network) != entry["weights"]:
        raise UnverifiedArtifact("the weights in the file are not those of the manifest")
    if not float(wrapped.epsilon) >= float(document[EPSILON]):
        raise UnverifiedArtifact("the radius in the file is below the one of the manifest")
    if wrapped.classes != document["classes"]:
        raise UnverifiedArtifact("the file has another number of classes than the manifest says")


def _stored(data: bytes, kind: str, rank: int) -> Stored:
    """Read the constants of a file.

    Raises:
        UnverifiedArtifact: it has none, or what decides by them is not what the library writes.
    """
    if kind == "onnx":
        return _of_onnx(onnx.ModelProto.FromString(data), rank)
    if kind == "pt2":
        weights = open_archive(data, Limits())
        found = {name: weights.tensor("weights", name).array for name in ("pairs", "terms", EPSILON)}
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = torch.jit.load(io.BytesIO(data), map_location="cpu")  # type: ignore[no-untyped-call]
        buffers = dict(module.named_buffers(recurse=False))
        found = {name: buffers[name].numpy() for name in ("pairs", "terms", EPSILON)}
    if any(array.dtype != np.float32 for array in found.values()):
        raise UnverifiedArtifact("the constants in the file are not float32")
    return Stored(found["pairs"], found["terms"], np.float32(found[EPSILON]))


def _of_onnx(model: onnx.ModelProto, rank: int) -> Stored:
    graph = model.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    if not {PAIRS, EPSILON, *TERMS} <= tensors.keys():
        raise UnverifiedArtifact("the file holds no Lipschitz constants")
    pairs = numpy_helper.to_array(tensors[PAIRS])
    terms = np.array([numpy_helper.to_array(tensors[name]) for name in TERMS], np.float32)
    epsilon = np.float32(numpy_helper.to_array(tensors[EPSILON]))
    tail = tail_of(pairs, terms, epsilon, rank)
    _check_tail(graph, tail.nodes, tail.constants)
    if [_bytes(entry) for entry in graph.output] != [_bytes(entry) for entry in declared(len(pairs))]:
        raise UnverifiedArtifact("the outputs of the file are not those of a wrapped network")
    if [entry.name for entry in graph.input] != [INPUT, EPSILON] or model.functions:
        raise UnverifiedArtifact("the inputs of the file are not those of a wrapped network")
    return Stored(pairs, terms, epsilon)


def _check_tail(
    graph: onnx.GraphProto, nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto]
) -> None:
    """Compare what follows the scores with what the library writes there.

    That no name is given twice was seen to when the file was read.
    """
    if [_bytes(node) for node in graph.node[-len(nodes) :]] != [_bytes(node) for node in nodes]:
        raise UnverifiedArtifact("what the file decides by its scores was changed")
    names = {tensor.name for tensor in constants}
    kept = {tensor.name: _bytes(tensor) for tensor in graph.initializer if tensor.name in names}
    if kept != {tensor.name: _bytes(tensor) for tensor in constants}:
        raise UnverifiedArtifact("a constant behind the scores was changed")


def _bytes(message: Any) -> bytes:
    return bytes(message.SerializeToString(deterministic=True))
