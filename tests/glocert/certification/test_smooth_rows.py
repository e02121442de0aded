from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from glocert.certification.unit import run
from glocert.spec import Mutation, SegmentSpec
from tests.glocert.segments.networks import Draft


def test_rows_of_a_smooth_network_say_that_it_was_enclosed(make_case, tmp_path):
    draft = Draft(2)
    hidden = draft.same(
        "Sigmoid", draft.gemm("x", np.array([[4.0, 0.0], [0.0, 4.0]]), np.array([-2.0, -2.0]))
    )
    graph = draft.graph(draft.gemm(hidden, np.array([[1.0, 0.5], [0.0, 1.0]]), np.array([0.0, 0.3])))
    case = make_case(graph, np.array([[0.6, 0.1], [0.4, 0.35]], dtype=np.float32), None)
    spec = SegmentSpec(Mutation("brightness", 0.0, 0.4), partition=True)
    safe, broken = (report.to_json() for report in run(case, spec, [0, 1], tmp_path))
    assert (safe["verdict"], safe["family"], safe["certified_to"]["t"]) == ("certified", "enclosure", 1.0)
    assert (broken["verdict"], broken["family"]) == ("falsified", "enclosure")
    t = np.linspace(0, 1, 10_001)[:, None]
    scores = np.array([[1.0, 0.5], [0.0, 1.0]]) @ (
        1 / (1 + np.exp(-(4 * (np.array([0.4, 0.35]) + 0.4 * t) - 2)))
    ).T + np.array([[0.0], [0.3]])
    share = (scores.argmax(0) == broken["label"]).mean()
    assert broken["robust_mass"]["lower"] == pytest.approx(share, abs=1e-3)
    assert [part["label"] for part in broken["partition"]] == [broken["label"], 1 - broken["label"]]
    again = run(case, replace(spec, seconds_per_input=0.0), [0], tmp_path)
    assert next(again).reason == "budget"
