from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glocert_client.decision import VERDICTS, Decision, Judgement, judge, overall


def job(certified: int = 0, falsified: int = 0, undecided: int = 0, skipped: int = 0) -> dict[str, Any]:
    counts = (certified, falsified, undecided, skipped)
    return {
        "status": "succeeded",
        "summary": {"inputs": sum(counts), **dict(zip(VERDICTS, counts, strict=True))},
    }


@pytest.mark.parametrize(
    ("counts", "decision"),
    [
        ((10, 0, 0, 0), Decision.PASS),
        ((9, 0, 0, 1), Decision.PASS),
        ((9, 1, 0, 0), Decision.FAIL),
        ((8, 1, 1, 0), Decision.FAIL),
        ((9, 0, 1, 0), Decision.INCONCLUSIVE),
        ((0, 0, 0, 10), Decision.INCONCLUSIVE),
        ((0, 0, 0, 0), Decision.INCONCLUSIVE),
    ],
)
def test_without_a_rate_everything_that_can_be_must_be_certified(
    counts: tuple[int, int, int, int], decision: Decision
) -> None:
    assert judge(job(*counts), None).decision is decision


@pytest.mark.parametrize(
    ("counts", "rate", "decision"),
    [
        ((9, 1, 0, 0), 0.9, Decision.PASS),
        ((8, 1, 1, 0), 0.9, Decision.INCONCLUSIVE),
        ((8, 2, 0, 0), 0.9, Decision.FAIL),
        ((8, 0, 0, 2), 0.9, Decision.FAIL),
        ((0, 10, 0, 0), 0.0, Decision.PASS),
        ((0, 0, 0, 0), 0.5, Decision.INCONCLUSIVE),
    ],
)
def test_a_rate_counts_all_inputs(counts: tuple[int, int, int, int], rate: float, decision: Decision) -> None:
    assert judge(job(*counts), rate).decision is decision


@given(st.integers(1, 1000), st.data())
def test_a_rate_that_is_met_exactly_is_met(inputs: int, data: st.DataObject) -> None:
    certified = data.draw(st.integers(0, inputs))
    assert judge(job(certified, inputs - certified), certified / inputs).decision is Decision.PASS
    if certified:
        assert judge(job(certified - 1, inputs - certified + 1), certified / inputs).decision is Decision.FAIL


@pytest.mark.parametrize(
    ("status", "problem", "decision"),
    [
        ("failed", {"type": "/problems/deadline-exceeded", "detail": "late"}, Decision.DEADLINE),
        ("failed", {"type": "/problems/worker-lost", "detail": "lost"}, Decision.ERROR),
        ("cancelled", None, Decision.ERROR),
    ],
)
def test_a_job_without_an_answer_never_passes(
    status: str, problem: dict[str, Any] | None, decision: Decision
) -> None:
    judgement = judge({"status": status, "error": problem, "summary": None}, 0.0)
    assert judgement.decision is decision
    assert judgement.ground == (problem["detail"] if problem else "the job was cancelled")


@given(st.lists(st.sampled_from(Decision), min_size=1))
def test_one_pass_never_hides_another_outcome(decisions: list[Decision]) -> None:
    found = overall(Judgement(decision, "") for decision in decisions)
    assert found in decisions
    assert (found is Decision.PASS) == (set(decisions) == {Decision.PASS})
    if Decision.ERROR in decisions:
        assert found is Decision.ERROR


def test_no_job_at_all_is_no_pass() -> None:
    assert overall([]) is Decision.INCONCLUSIVE


def test_exit_codes_are_a_promise() -> None:
    assert {decision.word: int(decision) for decision in Decision} == {
        "pass": 0,
        "fail": 1,
        "inconclusive": 2,
        "deadline": 3,
        "error": 4,
    }


def radial(vra: dict[str, float] | None) -> dict[str, Any]:
    return {"status": "succeeded", "summary": {"inputs": 10, "vra": vra}}


@pytest.mark.parametrize(
    ("vra", "required", "decision"),
    [
        ({"0.1": 0.95, "0.3": 0.9}, 0.9, Decision.PASS),
        ({"0.1": 0.95, "0.3": 0.9}, 0.91, Decision.FAIL),
        ({"1e-05": 0.2, "0.3": 0.9}, 0.9, Decision.PASS),  # the largest epsilon, not the longest text
        ({"2": 0.5, "10": 0.4}, 0.45, Decision.FAIL),
        ({"0.3": 0.0}, 0.0, Decision.PASS),
        (None, 0.5, Decision.INCONCLUSIVE),
        ({}, 0.5, Decision.INCONCLUSIVE),
    ],
)
def test_a_vra_is_asked_for_at_the_largest_epsilon(
    vra: dict[str, float] | None, required: float, decision: Decision
) -> None:
    assert judge(radial(vra), None, required).decision is decision


def test_a_failed_job_has_no_vra() -> None:
    late = {"status": "failed", "error": {"type": "/problems/deadline-exceeded", "title": "late"}}
    assert judge(late, None, 0.5).decision is Decision.DEADLINE
