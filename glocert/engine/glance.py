"""A glance at whole paths before any is followed: one pass of bounds in float32, many paths in one batch.

What a batch costs is mostly calls and products of matrices, which its paths share; following shares hardly
anything. Where most paths are far from any other label, so few calls settle most of them. Batches do not
depend on the number of threads, and each is computed by one: so no answer depends on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch

from glocert.engine.program import Program
from glocert.engine.question import Question
from glocert.forms.decision import proven
from glocert.forms.form import Form
from glocert.forms.margins import Margins, margins
from glocert.forms.path import Parts
from glocert.paths.segment import Segment, whole
from glocert.report import WHOLE, SegmentReport
from glocert.spec import Verdict

BATCH = 64
"""paths of a batch: more save little"""
FIRST = 32
"""paths of the first one"""
FEWEST = 8
"""of fewer paths each costs about as much to bound as to follow"""
_SHARE = 0.3
"""of the first batch that has to be proven for another one to be worth it"""


def glance(program: Program, questions: Sequence[Question]) -> list[SegmentReport | None]:
    """Bound straight paths; return the answers to those whose property is proven on all of the path.

    Args:
        program: the network.
        questions: about straight paths, without labels along them.
    """
    count = len(questions)
    labels = np.array([question.label for question in questions], np.int64)
    required = np.array([question.margin for question in questions], np.float64)
    parts = Parts.between(np.zeros(count), np.ones(count))
    bounds = program.single.program
    with torch.inference_mode():
        paths = whole([cast("Segment", question.path) for question in questions], bounds.device)
        known = margins(bounds.scores(Form.of(paths.lines, paths.error)), parts, labels, required)
    return _answers(known)


def _answers(known: Margins) -> list[SegmentReport | None]:
    safe, parts = proven(known), known.parts
    certain = safe.held & (safe.start == parts.start) & (safe.stop == parts.stop)
    numbers = zip(certain, known.centre.min(1).tolist(), known.radius.tolist(), strict=True)
    return [
        SegmentReport(Verdict.CERTIFIED, WHOLE, 1.0, lowest, 0.5, radius, pieces=1) if yes else None
        for yes, lowest, radius in numbers
    ]


def pays(proven: int, seen: int) -> bool:
    """Whether another batch is worth a glance, by how many of one it has proven; no verdict depends on it."""
    return proven >= _SHARE * seen
