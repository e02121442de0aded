"""Which margins of undecided rows are worth a backward pass, and what it makes of them."""

from __future__ import annotations

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
    reversal: Reversal, tape: Tape, known: Margins, found: Decided, labels: Ints, required: Float64
) -> tuple[list[int], Margins]:
    """Bound margins of undecided rows again, backwards.

    Args:
        reversal: of the network.
        tape: its forward pass on the rows.
        known: what that says of their margins.
        found: what that decides.
        labels: class that should win, shape (rows,).
        required: by how much, shape (rows,).

    Returns:
        The rows that were worth it, and their margins: of each line, the one with less error.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        chosen = {row: kept for row in _open(known, found) if (kept := _chosen(known, row))}
    if not chosen:
        return [], known.rows([])
    rows, most = list(chosen), max(map(len, chosen.values()))
    columns = np.array([one + one[:1] * (most - len(one)) for one in chosen.values()], np.int64)
    index = torch.tensor(rows, device=tape.scores.centre.device)
    asked = labels[rows], required[rows]
    return rows, backward.tightened(reversal, tape.rows(index), known.rows(rows), asked, columns)


def _open(known: Margins, found: Decided) -> list[int]:
    """Return the undecided rows that have a width and are not hopeless."""
    lowest = np.abs(known.centre).min(1) + np.abs(known.slope).max(1)
    near = known.error.min(1) / _NEAR <= lowest
    return sorted({row for start, stop, row in found.rest if start < stop and near[row]})


def _chosen(known: Margins, row: int) -> list[int]:
    """Return the margins to look at: the one that refutes a row, or the few that leave it unproven."""
    centre, slope, error = known.centre[row], np.abs(known.slope[row]), known.error[row]
    unproven = np.flatnonzero(centre - slope - error <= 0)
    lowest = int(centre.argmin())
    if centre[lowest] < -slope[lowest]:
        return [lowest]
    order = unproven[np.argsort(centre[unproven])]
    return order.tolist() if len(order) <= _MOST else []
