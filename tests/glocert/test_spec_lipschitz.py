"""Requests and rows survive JSON; verdicts follow from what is proven."""

from __future__ import annotations

import json
import math

import pytest

from glocert.spec import Verdict
from glocert.spec_lipschitz import (
    Affinity,
    Distance,
    Execution,
    LipschitzMethod,
    LipschitzRow,
    LipschitzSpec,
    TopK,
    epsilon_key,
)


@pytest.mark.parametrize("relaxation", [None, TopK(3), Affinity(((0, 1), (2,)))])
def test_a_request_survives_json(relaxation: TopK | Affinity | None) -> None:
    spec = LipschitzSpec(
        (0.1, 36 / 255), Distance.LINF, LipschitzMethod.PORTFOLIO, relaxation, Execution.REAL, 2.5
    )
    assert LipschitzSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_what_is_left_out_takes_its_default() -> None:
    spec = LipschitzSpec.from_json({"kind": "lipschitz-certification", "epsilons": [0.3]})
    assert spec == LipschitzSpec((0.3,))
    assert (spec.norm, spec.method, spec.arithmetic) == ("l2", "global", "float32")


@pytest.mark.parametrize(("epsilon", "key"), [(0.3, "0.3"), (1.0, "1"), (1, "1"), (36 / 255, repr(36 / 255))])
def test_keys_are_the_shortest_text_that_reads_back(epsilon: float, key: str) -> None:
    assert epsilon_key(epsilon) == key
    assert float(key) == epsilon


def row(**members: object) -> LipschitzRow:
    plain: dict[str, object] = {
        "index": 3, "label": 7, "predicted": 7, "radius": 0.5, "certified": {"0.3": True},
        "robust": {"0.3": True}, "method": "global", "seconds": 0.25,
    }  # fmt: skip
    return LipschitzRow(**(plain | members))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "each",
    [
        row(),
        row(radius=math.inf, label=None),
        row(members={"global": 0.1, "backward": math.inf}, method="backward", forward=0.125),
        row(plain=math.inf, guaranteed={"0.3": (1, 3)}),
        row(method="", predicted=None, radius=0.0, reason="non-finite", next_step="Check the weights."),
    ],
)
def test_a_row_survives_json(each: LipschitzRow) -> None:
    text = json.dumps(each.to_json(), allow_nan=False)
    assert LipschitzRow.from_json(json.loads(text)) == each


def test_a_radius_without_end_is_null() -> None:
    assert row(radius=math.inf).to_json()["radius"] is None


def test_verdicts() -> None:
    assert row().verdict is Verdict.CERTIFIED
    assert row(robust={"0.3": True, "1": False}).verdict is Verdict.UNDECIDED
    wrong = row(predicted=1, robust={"0.3": False}, reason="misclassified")
    assert wrong.verdict is Verdict.SKIPPED
    assert wrong.correct is False
    assert row(method="", robust={"0.3": False}).verdict is Verdict.SKIPPED
    assert row(label=None).correct is None
