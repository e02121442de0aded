"""What a set of wrapped files says about itself, as canonical JSON (RFC 8785)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import rfc8785
import torch

import glocert
from glocert.errors import InvalidSpec
from glocert.gloro.artifacts.slack import REACH
from glocert.gloro.artifacts.wrapped import Wrapped
from glocert.graph.ir import Graph
from glocert.graph.wrapped import EPSILON, INPUT, OUTPUTS
from glocert.lipschitz.network import LipschitzBound, Part
from glocert.spec import Preprocessing

FORMAT = "glocert-artifact/1"
NAME = "manifest.json"
STATEMENT = (
    "If certified is true, every input within radius (l2 distance, raw input units) receives the same label "
    "from the network inside, run under the same constraints. Nothing is said about whether the label is "
    "correct, about other distributions, or about inputs of another shape or unit. Training further, "
    "pruning, quantising, another input size or another number type void it."
)
RUNTIME = (
    "float32 throughout: no TF32, no bfloat16 or float16, no reduced precision inside a product",
    "convolutions as sums of products: neither Winograd nor FFT algorithms",
    "no fast-math: NaN and infinity keep their meaning",
    "no optimisation that computes new weights, such as folding a normalisation into a convolution",
)


@dataclass(frozen=True, slots=True)
class Written:
    """One file of an artifact.

    Attributes:
        name: of the file.
        format: ``onnx``, ``torchscript`` or ``pt2``.
        sha256: of its bytes.
        size_bytes: of the file.
        weights: digest of the weights inside, as our importer reads them.
    """

    name: str
    format: str
    sha256: str
    size_bytes: int
    weights: str

    @classmethod
    def of(cls, path: Path, kind: str, weights: str) -> Written:
        """Describe a file that is there."""
        data = path.read_bytes()
        return cls(path.name, kind, hashlib.sha256(data).hexdigest(), len(data), weights)


def manifest(
    wrapped: Wrapped,
    files: tuple[Written, ...],
    *,
    model: str,
    preprocessing: Preprocessing,
    date: str,
    checks: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the manifest.

    Args:
        wrapped: what the files hold.
        files: all of them.
        model: digest of the graph that was wrapped, before anything was put in front of it.
        preprocessing: what was.
        date: of the making, ISO 8601.
        checks: what running the files showed.
    """
    network = wrapped.network
    return {
        "format": FORMAT,
        "created": date,
        "tools": _tools(),
        "model": {
            "graph": model,
            "preprocessing": preprocessing.to_json(),
            "stripped": list(wrapped.stripped),
        },
        "network": {"graph": network.digest(), "weights": weights_digest(network)},
        "input": _input(network, preprocessing),
        "outputs": list(OUTPUTS),
        "classes": wrapped.classes,
        "norm": "l2",
        EPSILON: wrapped.requested,
        "constants": {
            "pairs": pairs_digest(wrapped.pairs),
            "slack": asdict(wrapped.slack),
            **constants(wrapped.bound),
        },
        "semantics": {"arithmetic": "float32", "statement": STATEMENT},
        "runtime": {"dtype": "float32", "constraints": list(RUNTIME)},
        "checks": dict(checks),
        "files": [asdict(file) for file in files],
    }


def _tools() -> dict[str, str]:
    """Return the versions of what made the files."""
    return {
        "glocert": glocert.__version__,
        "torch": str(torch.__version__),
        "onnx": onnx.__version__,
        "onnxruntime": onnxruntime.__version__,
    }


def _input(network: Graph, preprocessing: Preprocessing) -> dict[str, Any]:
    """Describe what the files take."""
    return {
        "name": INPUT,
        "shape": list(network.input_shape),
        "dtype": "float32",
        "units": "raw",
        "domain": [preprocessing.lower, preprocessing.upper],
        "largest_norm": REACH,
    }


def canonical(document: Mapping[str, Any]) -> bytes:
    """Return the canonical bytes of a manifest."""
    return rfc8785.dumps(dict(document))


def constants(found: LipschitzBound) -> dict[str, Any]:
    """Return the proven constants as the manifest shows them."""
    pairs = found.pairs[~torch.eye(len(found.pairs), dtype=torch.bool)]
    return {
        "features": found.features,
        "scores": found.scores,
        "pairs_min": float(pairs.min()),
        "pairs_median": float(pairs.median()),
        "pairs_max": float(pairs.max()),
        "parts": [_part(part) for part in found.parts],
    }


def _part(part: Part) -> dict[str, Any]:
    return {
        "operators": list(part.operators),
        "method": part.norm.method,
        "upper": part.norm.upper,
        "lower": part.norm.lower,
    }


def weights_digest(network: Graph) -> str:
    """Return a sha256 of all float32 weights in the order in which the nodes read them."""
    total = hashlib.sha256()
    for node in network.nodes:
        for name in node.inputs:
            if name in network.parameters:
                total.update(f"{node.operator} {network.parameters[name].shape}".encode())
                total.update(np.ascontiguousarray(network.parameters[name], dtype="<f4").tobytes())
    return total.hexdigest()


def pairs_digest(pairs: np.typing.NDArray[np.float32]) -> str:
    """Return the sha256 of the constants as the files hold them."""
    return hashlib.sha256(np.ascontiguousarray(pairs, dtype="<f4").tobytes()).hexdigest()


def checked_format(document: Any) -> dict[str, Any]:
    """Return a manifest that was read, if it is one.

    Raises:
        InvalidSpec: it is not.
    """
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InvalidSpec(f"not a manifest of the format {FORMAT}")
    return document
