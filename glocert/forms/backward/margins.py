"""Margins, made tighter by a backward pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from glocert.forms.backward.reversal import Reversal
from glocert.forms.backward.tape import Tape
from glocert.forms.form import Form
from glocert.forms.margins import Margins
from glocert.rounding import CHARGE, UP

Columns = NDArray[np.int64]


def tightened(
    reversal: Reversal, tape: Tape, known: Margins, question: tuple[int, float], others: Columns
) -> Margins:
    """Return the margins of a forward pass, each replaced by that of a backward pass where it has less error.

    Args:
        reversal: of the network.
        tape: its forward pass on the same rows as ``known``.
        known: what ``margins`` made of the tape's scores.
        question: class that should win, and by how much.
        others: for every row, positions among the other classes of the margins to look at, shape (rows, n);
            a position may be repeated.
    """
    label, margin = question
    scores = tape.scores
    rows, classes = scores.centre.shape
    rivals = np.array([j for j in range(classes) if j != label], dtype=np.int64)
    columns = torch.from_numpy(rivals[others]).to(scores.centre.device).unsqueeze(2)
    weights = torch.zeros(rows, others.shape[1], classes, dtype=torch.float64, device=columns.device)
    weights[:, :, label] = 1
    found = reversal.functionals(tape, weights.scatter_(2, columns, -1.0))
    return _better(known, found, margin, others)


def open_margins(known: Margins, most: int) -> Columns:
    """Return for every row the margins whose proven lower bound is lowest, lowest first, shape (rows, n).

    Args:
        known: margins on some rows.
        most: n, where there are so many.
    """
    lower = known.centre - np.abs(known.slope) - known.error
    return np.asarray(np.argsort(lower, axis=1, kind="stable")[:, :most], dtype=np.int64)


def _better(known: Margins, found: Form, margin: float, others: Columns) -> Margins:
    """Take each line that has less error: one rounding of the centre, seven of evaluating it."""
    size = (found.magnitude() + abs(margin)) * (2 * CHARGE)
    error = ((found.error + size) * (UP * UP)).cpu().numpy()
    centre, slope = (found.centre - margin).cpu().numpy(), found.slopes[0].cpu().numpy()
    merged = [array.copy() for array in (known.centre, known.slope, known.error)]
    better = error < np.take_along_axis(known.error, others, 1)
    for whole, part in zip(merged, (centre, slope, error), strict=True):
        chosen = np.where(better, part, np.take_along_axis(whole, others, 1))
        np.put_along_axis(whole, others, chosen, 1)
    return replace(known, centre=merged[0], slope=merged[1], error=merged[2])
