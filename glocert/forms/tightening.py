"""Which margins of undecided rows are worth a backward pass, and what it makes of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from glocert.forms import backward
from glocert.forms.backward import Reversal, Tape
from glocert.forms.decision import Decided
from glocert.forms.margins import Margins

Ints = NDArray[np.int64]
Float64 = NDArray[np.float64]

_NEAR = 40.0
"""how many times larger than the margin an error may be for a backward pass to bring it down"""
_MOST = 4
"""margins of one row for which going backwards costs less than cutting the row"""


def tightened(
    reversal: Reversal,
    tape: Tape,
    known: Margins,
    found: Decided,
    question: tuple[Ints, Float64],
    expected: Float64,
) -> tuple[list[int], Margins]:
    """Bound margins of undecided rows again, backwards.

    Args:
        reversal: of the network.
        tape: its forward pass on the rows.
        known: what that says of their margins.
        found: what that decides.
        question: class that should win and by how much, each of shape (rows,).
        expected: about how large the margin is on each row, NaN where nobody knows, shape (rows,).

    Returns:
        The rows that were worth it, and their margins: of each line, the one with less error.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        single = reversal.program.dtype == torch.float32
        chosen = {row: kept for row in _open(known, found, single, expected) if (kept := _chosen(known, row))}
    if not chosen:
        return [], known.rows([])
    rows = list(chosen)
    # A pair for each margin: rows with fewer open margins than others cost nothing for them.
    place = np.array([at for at, row in enumerate(rows) for _ in chosen[row]])
    others = np.array([other for row in rows for other in chosen[row]])
    pairs = [rows[at] for at in place]
    index = torch.tensor(rows, device=tape.scores.error.device)
    asked = question[0][pairs], question[1][pairs]
    better = backward.tightened(reversal, tape.rows(index), known.rows(pairs), asked, others[:, None], place)
    return rows, _gathered(known.rows(rows), better, place, others)


def _gathered(known: Margins, found: Margins, place: Ints, others: Ints) -> Margins:
    """Return the margins with the lines of pairs: each is about row ``place`` and column ``others``."""
    merged = [array.copy() for array in (known.centre, known.slope, known.error)]
    every = np.arange(len(place))
    for whole, part in zip(merged, (found.centre, found.slope, found.error), strict=True):
        whole[place, others] = part[every, others]
    return replace(known, centre=merged[0], slope=merged[1], error=merged[2])


def _open(known: Margins, found: Decided, points: bool, expected: Float64) -> list[int]:
    """Return the undecided rows that are not hopeless, and the points where rounding is of interest."""
    lowest = np.abs(known.centre).min(1) + np.abs(known.slope).max(1)
    # Wide bounds have their centre far above the margin: what was seen of it counts where it is smaller.
    near = known.error.min(1) / _NEAR <= np.fmin(lowest, expected)
    rows = {row for start, stop, row in found.rest if start < stop and near[row]}
    if points:
        rows.update(np.flatnonzero((known.parts.start == known.parts.stop) & near).tolist())
    return sorted(rows)


def _chosen(known: Margins, row: int) -> list[int]:
    """Return the margins to look at: the one that refutes a row or is lowest at a point, or the open few."""
    centre, slope, error = known.centre[row], np.abs(known.slope[row]), known.error[row]
    unproven = np.flatnonzero(centre - slope - error <= 0)
    lowest = int(centre.argmin())
    point = known.parts.start[row] == known.parts.stop[row]
    if point or centre[lowest] < -slope[lowest]:
        return [lowest]
    order = unproven[np.argsort(centre[unproven])]
    return order.tolist() if len(order) <= _MOST else []
