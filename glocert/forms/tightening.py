"""Which margins of undecided rows are worth a backward pass, and what it makes of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from glocert.forms.backward import Reversal, Tape
from glocert.forms.decision import Decided
from glocert.forms.form import Form
from glocert.forms.margins import Margins
from glocert.rounding import CHARGE, UP

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
    form = reversal.functionals(tape.rows(index), _weights(columns, labels[rows], tape))
    return rows, _better(known.rows(rows), form, columns, required[rows, None])


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


def _weights(columns: Ints, labels: Ints, tape: Tape) -> torch.Tensor:
    """Return one functional, label less rival, for every row and column."""
    classes = tape.scores.centre.shape[1]
    weights = np.zeros((*columns.shape, classes))
    rivals = columns + (columns >= labels[:, None])
    rows, places = np.indices(columns.shape)
    weights[rows, places, labels[:, None]] = 1.0
    weights[rows, places, rivals] = -1.0
    return torch.from_numpy(weights).to(tape.scores.centre.device)


def _better(known: Margins, form: Form, columns: Ints, required: Float64) -> Margins:
    """Take each line that has less error: one rounding of the centre, seven of evaluating it."""
    with np.errstate(over="ignore", invalid="ignore"):
        return _merged(known, form, columns, required)


def _merged(known: Margins, form: Form, columns: Ints, required: Float64) -> Margins:
    centre, slope = form.centre.cpu().numpy(), form.slopes[0].cpu().numpy()
    size = (form.magnitude().cpu().numpy() + np.abs(required)) * (2 * CHARGE)
    error = (form.error.cpu().numpy() + size) * (UP * UP)
    rows = np.arange(len(columns))[:, None]
    merged = [array.copy() for array in (known.centre, known.slope, known.error)]
    better = error < known.error[rows, columns]
    for whole, part in zip(merged, (centre - required, slope, error), strict=True):
        whole[rows, columns] = np.where(better, part, whole[rows, columns])
    return replace(known, centre=merged[0], slope=merged[1], error=merged[2])
