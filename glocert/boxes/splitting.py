"""Across which axis an undecided box is halved, and where in it a violation is most likely."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocert.boxes.bounds import Bounds
from glocert.boxes.boxes import DEEPEST, Boxes
from glocert.boxes.groups import Groups

Float64 = NDArray[np.float64]

_CURVED = 0.1
"""Share of the unexplained range that speaks for halving the widest sides."""


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """What is worth knowing of undecided rows; estimates only, no verdict depends on them.

    Attributes:
        axis: which axis to halve, shape (rows,); -1 where none can be.
        corner: t at which the critical inequality is lowest, shape (rows, k).
        level: its value there less its error, shape (rows,): the lower, the closer to a violation.
        width: half of the range of the critical inequality, error included; inf where nothing is known.
        error: part of it that no slope explains.
    """

    axis: NDArray[np.intp]
    corner: Float64
    level: Float64
    width: Float64
    error: Float64


def outlook(boxes: Boxes, found: Bounds, groups: Groups) -> Outlook:
    """Look at undecided rows.

    The critical inequality is, of the group that comes closest to holding, the one that comes closest to
    failing: its slopes say how much of the range is each axis's share.
    """
    rows = torch.arange(len(boxes), device=found.low.device)
    critical = _critical(found, groups)
    slopes = found.slopes[:, rows, critical].t()
    error, centre = found.error[rows, critical], found.centre[rows, critical]
    swing = slopes.abs().sum(1)
    corner = boxes.middle - slopes.sign().cpu().numpy() * boxes.half
    influence = found.influence[:, rows, critical].t()
    unexplained = (swing + error - influence.sum(1)).clamp(min=0)
    return Outlook(
        _axis(boxes, influence.cpu().numpy(), unexplained.cpu().numpy()),
        corner,
        (centre - swing).cpu().numpy(),
        (swing + error).cpu().numpy(),
        error.cpu().numpy(),
    )


def _critical(found: Bounds, groups: Groups) -> Tensor:
    """Return one inequality per row."""
    low = found.low[:, groups.members]
    best, which = low.max(2)
    best = torch.where(found.excluded, torch.inf, best)
    group = best.argmin(1)
    rows = torch.arange(len(group), device=group.device)
    return groups.members[group, which[rows, group]]


def _axis(boxes: Boxes, influence: Float64, unexplained: Float64) -> NDArray[np.intp]:
    """Return the axis of most influence; what no axis is known to be behind counts for wide sides."""
    size = np.where(np.isfinite(unexplained), unexplained, 1.0)
    relative = np.ldexp(1.0, boxes.depth.min(1, keepdims=True) - boxes.depth)
    score = influence + _CURVED * (size + np.finfo(np.float64).tiny)[:, None] * relative
    score = np.where(boxes.depth < DEEPEST, score, -1.0)
    return np.where(score.max(1) >= 0, score.argmax(1), -1)
