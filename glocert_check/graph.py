"""Reads a graph file: a safetensors file whose header carries the structure as JSON."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
DTYPES: dict[str, np.dtype[np.floating[Any]]] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}


@dataclass(frozen=True)
class Graph:
    """A network as data.

    Attributes:
        sha256: digest of the file.
        structure: ``input``, ``output``, ``nodes`` and ``shapes``, as the file says them.
        parameters: name -> float64 array; the conversion from float32 is exact.
    """

    sha256: str
    structure: dict[str, Any]
    parameters: dict[str, Float64]


def read(data: bytes) -> Graph:
    """Return the graph in ``data``.

    Raises:
        ValueError: not such a file.
    """
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    found = json.loads(header.pop("__metadata__")["graph"])
    body = data[8 + length :]
    arrays = {name: _array(entry, body) for name, entry in header.items()}
    return Graph(hashlib.sha256(data).hexdigest(), found, arrays)


def _array(entry: dict[str, Any], body: bytes) -> Float64:
    start, stop = entry["data_offsets"]
    flat = np.frombuffer(body[start:stop], dtype=DTYPES[entry["dtype"]])
    return np.asarray(flat.reshape(entry["shape"]), np.float64)


def number(value: Any) -> float:
    """Return an attribute that is one number: floats travel as text, because JSON has no infinity."""
    return float(value["float"] if isinstance(value, dict) else value)
