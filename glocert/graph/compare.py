"""Whether the imported graph computes what the upload computes, on inputs that nobody chose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import default_rng
from numpy.typing import NDArray

from glocert.errors import ImportMismatch
from glocert.graph.imported import Imported
from glocert.graph.run import run
from glocert.graph.shapes import Shape

SAMPLES = 24
TOLERANCE = 1e-4
_ROWS = 4
_SEED = 20_26

Batch = NDArray[np.floating]
Original = Callable[[Batch], Batch]
"""Runs the upload: its input with the batch axis that it wants, to its output."""


class OriginalFailed(Exception):
    """The upload could not be run on a batch of this size."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Outcome on float inputs: zeros, ones, uniform and normal numbers.

    Attributes:
        runtime: what ran the upload.
        samples: number of inputs.
        max_abs_difference: largest difference of a score.
        max_rel_difference: the same over max(1, largest score).
    """

    runtime: str
    samples: int
    max_abs_difference: float
    max_rel_difference: float


def inputs(shape: Shape, count: int, dtype: str) -> Batch:
    """Return the inputs of a comparison, shape (count, *shape); always the same ones."""
    draw = default_rng(_SEED)
    x = np.empty((count, *shape), dtype)
    half = count // 2
    x[:half] = draw.random((half, *shape))
    x[half:] = draw.standard_normal((count - half, *shape))
    x[0], x[1 : min(2, count)] = 0.0, 1.0
    return x


def compare(imported: Imported, original: Original, runtime: str) -> Comparison:
    """Run both and measure.

    Args:
        imported: the graph with what was cut off it.
        original: runs the upload; raises OriginalFailed.
        runtime: name and version of what is behind ``original``.

    Raises:
        ImportMismatch: the upload cannot be run, returns something else, or returns NaN or infinity.
    """
    size = imported.batch.size or 1
    x = inputs(imported.graph.input_shape, -(-SAMPLES // size) * size, imported.dtype)
    try:
        theirs = _in_batches(imported, original, x)
    except OriginalFailed as failure:
        raise ImportMismatch(f"The model cannot be run: {failure}.") from None
    ours = _ours(imported, x)
    if theirs.size != ours.size:
        raise ImportMismatch(f"The model returns {theirs.size} numbers where {ours.size} were expected.")
    theirs = theirs.reshape(ours.shape)
    if not (np.isfinite(theirs).all() and np.isfinite(ours).all()):
        raise ImportMismatch("The model returns NaN or infinity on ordinary inputs.")
    difference = float(np.abs(ours - theirs).max())
    relative = difference / max(1.0, float(np.abs(theirs).max()))
    if relative > TOLERANCE:
        raise ImportMismatch(
            f"The imported graph differs from the upload by {relative:.2g} of the largest score."
        )
    return Comparison(runtime, len(x), difference, relative)


def _in_batches(imported: Imported, original: Original, x: Batch) -> Batch:
    """Feed rows as the upload takes them; a batch of any size is tried with several rows first."""
    if not imported.batch.present:
        return np.concatenate([np.asarray(original(row), np.float64).reshape(1, -1) for row in x])
    if imported.batch.size is not None:
        return _fed(original, x, imported.batch.size)
    try:
        return _fed(original, x, _ROWS)
    except OriginalFailed:
        return _fed(original, x, 1)


def _fed(original: Original, x: Batch, rows: int) -> Batch:
    parts = []
    for start in range(0, len(x), rows):
        part = x[start : start + rows]
        y = np.asarray(original(part), np.float64)
        if y.size % len(part):
            raise OriginalFailed("its output has no row for every sample")
        parts.append(y.reshape(len(part), -1))
    return np.concatenate(parts)


def _ours(imported: Imported, x: Batch) -> Batch:
    """Scores of the graph with the cut-off functions applied again, shape (N, classes)."""
    parts = []
    for start in range(0, len(x), _ROWS):
        scores = run(imported.graph, torch.from_numpy(x[start : start + _ROWS])).flatten(1)
        for tail in reversed(imported.tails):
            scores = tail.apply(scores)
        parts.append(scores.double().numpy())
    return np.concatenate(parts)
