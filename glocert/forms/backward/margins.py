"""Margins, made tighter by a backward pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from glocert.forms.backward.reversal import Reversal
from glocert.forms.backward.tape import Tape
from glocert.forms.form import Form
from glocert.forms.margins import Float64, Margins
from glocert.rounding import CHARGE, UP

Columns = NDArray[np.int64]
Labels = int | NDArray[np.int64]
Required = float | Float64


def tightened(
    reversal: Reversal,
    tape: Tape,
    known: Margins,
    question: tuple[Labels, Required],
    others: Columns,
    place: Columns | None = None,
) -> Margins:
    """Return the margins of a forward pass, each replaced by that of a backward pass where it has less error.

    Args:
        reversal: of the network.
        tape: its forward pass on the same rows as ``known``, or see ``place``.
        known: what ``margins`` made of the tape's scores.
        question: class that should win and by how much, each of all rows or of shape (rows,).
        others: for every row, positions among the other classes of the margins to look at, shape (rows, n);
            a position may be repeated.
        place: the row of the tape for each row of ``known``, which may share it; None: as they come.
    """
    rows, classes = len(others), tape.scores.centre.shape[1]
    labels = np.broadcast_to(question[0], (rows,))[:, None].astype(np.int64)
    weights = np.zeros((rows, others.shape[1], classes))
    np.put_along_axis(weights, (others + (others >= labels))[:, :, None], -1.0, 2)
    np.put_along_axis(weights, np.broadcast_to(labels[:, :, None], (*others.shape, 1)), 1.0, 2)
    device = tape.scores.centre.device
    places = None if place is None else torch.from_numpy(place).to(device)
    found = reversal.functionals(tape, torch.from_numpy(weights).to(device), places)
    return _better(known, found, np.broadcast_to(question[1], (rows,))[:, None], others)


def open_margins(known: Margins, most: int) -> Columns:
    """Return for every row the margins whose proven lower bound is lowest, lowest first, shape (rows, n).

    Args:
        known: margins on some rows.
        most: n, where there are so many.
    """
    lower = known.centre - np.abs(known.slope) - known.error
    return np.asarray(np.argsort(lower, axis=1, kind="stable")[:, :most], dtype=np.int64)


def _better(known: Margins, found: Form, margin: Float64, others: Columns) -> Margins:
    """Take each line that has less error: one rounding of the centre, seven of evaluating it."""
    with np.errstate(over="ignore", invalid="ignore"):
        return _merged(known, found, margin, others)


def _merged(known: Margins, found: Form, margin: Float64, others: Columns) -> Margins:
    size = (found.magnitude().cpu().numpy() + np.abs(margin)) * (2 * CHARGE)
    error = (found.error.cpu().numpy() + size) * (UP * UP)
    centre, slope = found.centre.cpu().numpy() - margin, found.slopes[0].cpu().numpy()
    merged = [array.copy() for array in (known.centre, known.slope, known.error)]
    better = error < np.take_along_axis(known.error, others, 1)
    for whole, part in zip(merged, (centre, slope, error), strict=True):
        chosen = np.where(better, part, np.take_along_axis(whole, others, 1))
        np.put_along_axis(whole, others, chosen, 1)
    return replace(known, centre=merged[0], slope=merged[1], error=merged[2])
