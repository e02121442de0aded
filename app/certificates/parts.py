"""What statements of all predicate types share."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from glocert import __version__
from models import Dataset, Network

STATEMENT = "https://in-toto.io/Statement/v1"
PACKAGES = ("numpy", "onnx", "onnxruntime", "torch")


def subjects(network: Network) -> list[dict[str, Any]]:
    """Return what a statement is about: the upload, and the graph that inspection made of it."""
    return [
        {"name": network.filename, "digest": {"sha256": network.sha256}},
        {"name": "graph.safetensors", "digest": {"sha256": network.graph_sha256}},
    ]


def dataset_of(dataset: Dataset) -> dict[str, Any]:
    """Return name and digests of the data."""
    return {
        "name": dataset.filename,
        "sha256": dataset.sha256,
        "inputs_sha256": dataset.inputs_sha256,
        "labels_sha256": dataset.labels_sha256,
    }


def reproducibility(network: Network, seeds: Mapping[str, int]) -> dict[str, Any]:
    """Return what somebody else needs for the same run."""
    return {
        "seeds": dict(seeds),
        "versions": {
            "glocert": __version__,
            "python": platform.python_version(),
            **{name: _version(name) for name in PACKAGES},
        },
        "platform": {"system": platform.system(), "machine": platform.machine()},
        "graph_against_upload": (network.inspection or {}).get("comparison"),
        "bitwise_reproducible": False,
    }


def moment(value: Any) -> str | None:
    """Return a moment as text, in UTC."""
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z") if value is not None else None


def finite(value: Any) -> Any:
    """Return a value with null for numbers that JSON cannot hold."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: finite(inner) for name, inner in value.items()}
    return [finite(inner) for inner in value] if isinstance(value, list) else value


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
