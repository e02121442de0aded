from __future__ import annotations

import math

import numpy as np
import pytest

from glocert.certification.unit import run
from glocert.errors import InvalidSpec
from glocert.spec import Analysis, Mutation, SegmentSpec, Verdict
from glocert.spec_law import BetaLaw, PointsLaw, TriangularLaw, TruncatedNormalLaw, UniformLaw

BRIGHTER = Mutation("brightness", 0.0, 0.625)
"""From 0.25; the label changes at an added 0.25, after four tenths of the path."""


@pytest.fixture
def one(make_case, affine):
    """Class 0 wins below one half."""
    graph = affine([[0.0], [2.0]], [0.0, -1.0])
    return make_case(graph, np.array([[0.25]], dtype=np.float32), [0])


def normal(t: float) -> float:
    return math.erf(t / math.sqrt(2)) / 2


@pytest.mark.parametrize(
    ("law", "mass"),
    [
        (UniformLaw(), 0.4),
        (TruncatedNormalLaw(0.0, 0.25), normal(1.0) / normal(2.5)),
        (BetaLaw(1, 3), 1 - 0.6**3),
        (TriangularLaw(0.0), 1 - 0.6**2),
        (PointsLaw(((0.0, 3.0), (0.2, 1.0), (0.5, 4.0))), 0.5),
    ],
)
@pytest.mark.parametrize("analysis", list(Analysis))
def test_the_mass_of_a_row_is_the_probability_under_the_law(one, tmp_path, law, mass, analysis):
    (report,) = run(one, SegmentSpec(BRIGHTER, analysis, law=law), [0], tmp_path)
    found = report.to_json()["robust_mass"]
    assert found["law"] == law.to_json()["type"]
    assert found["lower"] - 1e-12 <= mass <= found["upper"] + 1e-12
    if analysis is not Analysis.INCOMPLETE:
        assert report.verdict is Verdict.FALSIFIED
        assert found["upper"] - found["lower"] <= 1e-9


def test_a_likely_value_on_the_boundary_is_a_tie(one, tmp_path):
    spec = SegmentSpec(BRIGHTER, law=PointsLaw(((0.125, 1.0), (0.25, 1.0))))
    (report,) = run(one, spec, [0], tmp_path)
    assert report.to_json()["robust_mass"] == {"lower": 0.5, "upper": 1.0, "law": "points"}


def test_a_law_does_not_touch_the_verdict(one, tmp_path):
    spec = SegmentSpec(BRIGHTER, law=PointsLaw(((0.0, 1.0),)))
    (report,) = run(one, spec, [0], tmp_path)
    assert report.to_json()["robust_mass"] == {"lower": 1.0, "upper": 1.0, "law": "points"}
    assert report.verdict is Verdict.FALSIFIED


def test_a_law_that_does_not_fit_the_path_is_refused(one, tmp_path):
    with pytest.raises(InvalidSpec, match="law/mode: It is not on the path"):
        list(run(one, SegmentSpec(BRIGHTER, law=TriangularLaw(0.7)), [0], tmp_path))


def test_inputs_that_are_certified_together_have_the_same_law(make_case, affine, tmp_path):
    """From 0, 0.25 and 0.375: the label changes after an added 0.5, 0.25 and 0.125."""
    inputs = np.array([[0.0], [0.25], [0.375]], dtype=np.float32)
    case = make_case(affine([[0.0], [2.0]], [0.0, -1.0]), inputs, [0, 0, 0])
    rows = list(run(case, SegmentSpec(BRIGHTER, law=TriangularLaw(0.0)), range(3), tmp_path))
    for report, t in zip(rows, (0.8, 0.4, 0.2), strict=True):
        assert report.segment is not None
        mass = report.segment.robust_mass
        assert mass.lower - 1e-12 <= 1 - (1 - t) ** 2 <= mass.upper + 1e-12
        assert mass.upper - mass.lower <= 1e-9
