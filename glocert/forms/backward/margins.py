"""Margins, made tighter by a backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from glocert.forms.backward.reversal import Reversal
from glocert.forms.backward.tape import Tape
from glocert.forms.form import Form
from glocert.forms.margins import Margins
from glocert.rounding import CHARGE, UP


def tightened(
    reversal: Reversal, tape: Tape, known: Margins, label: int, margin: float, others: Sequence[int]
) -> Margins:
    """Return the margins of a forward pass, each replaced by that of a backward pass where it has less error.

    Args:
        reversal: of the network.
        tape: its forward pass on the same rows as ``known``.
        known: what ``margins`` made of the tape's scores.
        label: class that should win.
        margin: by how much.
        others: positions, among the other classes, of the margins to look at.
    """
    columns = list(others)
    classes = tape.scores.centre.shape[1]
    rivals = [j for j in range(classes) if j != label]
    weights = torch.zeros(len(columns), classes, dtype=torch.float64, device=tape.scores.centre.device)
    weights[:, label] = 1
    weights[range(len(columns)), [rivals[j] for j in columns]] = -1
    found = reversal.functionals(tape, weights.expand(len(known.centre), -1, -1))
    return _better(known, found, margin, np.array(columns))


def _better(known: Margins, found: Form, margin: float, columns: NDArray[np.intp]) -> Margins:
    """Take each line that has less error: one rounding of the centre, seven of evaluating it."""
    size = (found.magnitude() + abs(margin)) * (2 * CHARGE)
    error = ((found.error + size) * (UP * UP)).cpu().numpy()
    centre, slope = (found.centre - margin).cpu().numpy(), found.slopes[0].cpu().numpy()
    merged = [array.copy() for array in (known.centre, known.slope, known.error)]
    better = error < known.error[:, columns]
    for whole, part in zip(merged, (centre, slope, error), strict=True):
        whole[:, columns] = np.where(better, part, whole[:, columns])
    return replace(known, centre=merged[0], slope=merged[1], error=merged[2])
