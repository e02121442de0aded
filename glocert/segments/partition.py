"""Labels along the path: the true upper envelope of all scores on every piece. NumPy in, plain data out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from glocert.report import LabelInterval
from glocert.segments.envelope import corners
from glocert.segments.pieces import Run

Change = tuple[float, int]


def label_changes(run: Run) -> Iterator[Change]:
    """Yield (t, label) for the start of every piece and every change inside, in order of t.

    A class may win in the middle of a piece without winning at either end. Of classes that are equal over a
    stretch the smallest wins, as ``argmax`` has it.
    """
    scores = torch.from_numpy(run.scores)
    bundle, ratio, label, first = corners(scores[:-1], scores[1:])
    pieces = len(scores) - 1
    piece = np.concatenate([np.arange(pieces), bundle.numpy()])
    share = np.concatenate([np.zeros(pieces), ratio.numpy()])
    labels = np.concatenate([first.numpy(), label.numpy()])
    t = run.t[piece] + share * (run.t[piece + 1] - run.t[piece])
    order = np.lexsort((np.arange(len(t)), piece))
    return zip(t[order].tolist(), labels[order].tolist(), strict=True)


def merge(changes: Iterable[Change], end: float) -> tuple[LabelInterval, ...]:
    """Join neighbours of the same label and drop what has no length."""
    kept: list[Change] = []
    for t, label in changes:
        if kept and kept[-1][0] >= t:
            kept.pop()
        if not kept or kept[-1][1] != label:
            kept.append((t, label))
    if not kept:
        return ()
    ends = [*(t for t, _ in kept[1:]), end]
    parts = (LabelInterval(start, stop, label) for (start, label), stop in zip(kept, ends, strict=True))
    return tuple(part for part in parts if part.start < part.stop)
