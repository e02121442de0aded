"""Points of a mutation's path in the network's own input, written again without the code under test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


def images(pixels: NDArray[np.uint8]) -> Float64:
    """Return (N, channels, height, width) in [0, 1], as float32 holds it."""
    scaled = (pixels.astype(np.float32) / np.float32(255)).astype(np.float64)
    return scaled[:, None] if scaled.ndim == 3 else scaled.transpose(0, 3, 1, 2)


def points(mutation: Mapping[str, Any], item: int, items: Float64, t: Float64) -> Float64:
    """Return the images at ``t``, shape (len(t), channels, height, width), clamped to [0, 1]."""
    start, share = items[item], t[:, None, None, None]
    stop = items[mutation["item"]] if mutation["type"] == "chord" else start + mutation["to"]
    return np.clip(start + share * (stop - start), 0.0, 1.0)


def to_input(batch: Float64, spec: Mapping[str, Any], shape: Sequence[int]) -> Float64:
    """Apply the manifest's preprocessing and give every sample the network's shape."""
    if "mean" in spec:
        mean, std = (np.atleast_1d(spec[name]).reshape(1, -1, 1, 1) for name in ("mean", "std"))
        batch = (batch - mean) / std
    if spec.get("layout") == "NHWC":
        batch = batch.transpose(0, 2, 3, 1)
    return batch.reshape(len(batch), *shape)
