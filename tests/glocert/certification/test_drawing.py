"""What the bar under a path claims, against what the engine answered."""

from __future__ import annotations

import numpy as np
import pytest

from glocert.certification.confirmation import Confirmed
from glocert.certification.drawing import Story, captions
from glocert.paths.segment import Segment
from glocert.pictures import PROVEN, WRONG, Stretch
from glocert.report import Interval, SegmentReport
from glocert.spec import Mutation, Preprocessing, Verdict

ITEM = np.zeros((1, 4, 4), np.float32)
PATH = Segment(ITEM.astype(np.float64), np.ones((1, 4, 4)), np.zeros((1, 4, 4)))


def bar(reach: float, upper: float) -> list[Stretch]:
    mass = Interval(max(reach, 0.0), upper)
    answer = SegmentReport(Verdict.FALSIFIED, mass, reach, -1.0, 1.0, 1e-12, witnesses=(1.0,))
    found = Confirmed(t=1.0, predicted=2, image=ITEM, runtimes=("torch",))
    brighter = Mutation("brightness", 0.0, 1.0)
    story = Story(ITEM, 1, PATH, brighter, Preprocessing(), answer, found, captions(brighter))
    return list(story._bar())


@pytest.mark.parametrize("reach", [0.5, 0.0, -1.0])
def test_what_lies_behind_a_decided_reach_is_wrong(reach: float) -> None:
    painted = bar(reach, max(reach, 0.0) + 1e-9)
    assert Stretch(max(reach, 0.0), 1.0, WRONG) in painted
    assert (Stretch(0.0, reach, PROVEN) in painted) == (reach > 0)


def test_what_may_hold_is_not_painted_wrong() -> None:
    painted = bar(0.5, 0.7)
    assert [part.colour for part in painted if part.stop - part.start > 0.01] == [PROVEN]


def test_frames_are_named_by_the_parameter_in_its_own_unit() -> None:
    found = captions(Mutation("rotation", -10.0, 30.0))
    assert found[0] == "t = 0\ndegrees -10"
    assert found[4] == "t = 0.5\ndegrees 10"
    assert len(found) == 9
