from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glocert_client.console import extent_of
from glocert_client.junit import Suite, Undecided, write

FALSIFIED = {
    "index": 3, "label": 7, "predicted": 7, "verdict": "falsified", "seconds": 0.25,
    "certified_to": {"t": 0.5, "value": 0.1, "unit": "intensity"},
    "counterexample": {"t": 0.75, "value": 0.15, "predicted": 2, "confirmed_in": ["torch", "onnxruntime"],
                       "image": "/v1/jobs/1/results/3/counterexample.png"},
}  # fmt: skip
UNDECIDED = {"index": 4, "label": 1, "predicted": 1, "verdict": "undecided", "seconds": 30.0,
             "reason": "budget", "next_step": "Raise the budget."}  # fmt: skip
SKIPPED = {
    "index": 5,
    "label": 1,
    "predicted": 8,
    "verdict": "skipped",
    "seconds": 0.0,
    "reason": "misclassified",
}
CERTIFIED = {"index": 6, "label": 0, "predicted": 0, "verdict": "certified", "seconds": 0.5}


def suite(*rows: dict[str, Any], name: str = "digits", status: str = "succeeded", **job: Any) -> Suite:
    mutation = {"type": "brightness", "from": 0.0, "to": 0.2}
    document = {"status": status, "request": {"mutation": mutation}, **job}
    return Suite(document, rows, name, "http://localhost/v1/jobs/1")


def parse(*suites: Suite, undecided: Undecided = "skip") -> ElementTree.Element:
    return ElementTree.fromstring(write(suites, undecided=undecided))


def test_every_input_is_a_test_case() -> None:
    root = parse(suite(FALSIFIED, UNDECIDED, SKIPPED, CERTIFIED))
    assert {name: root.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4",
        "failures": "1",
        "errors": "0",
        "skipped": "2",
    }
    outcomes = [[child.tag for child in case] for case in root.iter("testcase")]
    assert outcomes == [["failure"], ["skipped"], ["skipped"], []]
    (failure,) = root.iter("failure")
    assert failure.get("message") == (
        "classified 2 instead of 7 at 0.15 intensity (t = 0.75), confirmed in torch and onnxruntime"
    )
    assert (failure.text or "").endswith("http://localhost/v1/jobs/1/results/3/counterexample.png")
    assert next(case.get("name") for case in root.iter("testcase")) == "brightness=0:0.2 input 3 (label 7)"


def test_where_several_mutations_at_once_break_is_said_of_each() -> None:
    there = [
        {"type": "rotation", "t": 0.5, "value": 5.0, "unit": "degrees"},
        {"type": "brightness", "t": 1.0, "value": 0.1, "unit": "intensity"},
    ]
    found = {**FALSIFIED["counterexample"], "t": None, "value": None, "parameters": there}
    (failure,) = parse(suite({**FALSIFIED, "counterexample": found})).iter("failure")
    assert failure.get("message") == (
        "classified 2 instead of 7 at rotation 5 degrees, brightness 0.1 intensity, "
        "confirmed in torch and onnxruntime"
    )
    reached = {"t": 0.5, "value": 0.5, "unit": "share", "parameters": there}
    assert extent_of({"certified_to": reached}) == "rotation 5 degrees, brightness 0.1 intensity"


def test_undecided_inputs_fail_where_that_is_the_policy() -> None:
    root = parse(suite(UNDECIDED), undecided="fail")
    (failure,) = root.iter("failure")
    assert failure.get("message") == "budget; Raise the budget."
    assert root.get("failures") == "1"


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_job_without_an_answer_is_an_error_beside_its_rows(status: str) -> None:
    problem = {"type": "/problems/worker-lost", "detail": "The work was lost 3 times."}
    root = parse(suite(CERTIFIED, status=status, error=problem if status == "failed" else None))
    (error,) = root.iter("error")
    assert error.get("type") == ("worker-lost" if status == "failed" else "cancelled")
    assert root.get("errors") == "1"
    assert root.get("tests") == "2"


def test_two_mutations_are_two_suites() -> None:
    root = parse(suite(CERTIFIED), suite(FALSIFIED))
    assert [element.get("failures") for element in root] == ["0", "1"]
    assert root.get("tests") == "2"


@given(st.text(st.characters(codec="utf-8", min_codepoint=0)))
def test_any_text_of_users_gives_well_formed_xml(text: str) -> None:
    root = parse(suite({**UNDECIDED, "next_step": text}, name=text))
    (case,) = root.iter("testcase")
    assert case.get("classname") is not None
