from __future__ import annotations

import json
from dataclasses import replace
from itertools import count

import pytest

from glocert.certification.journal import Journal
from glocert.certification.unit import run
from glocert.engine import cost
from glocert.spec import Arithmetic, Mutation, SegmentSpec

DARKER = SegmentSpec(Mutation("brightness", 0.0, -0.5))
INPUTS = range(5)


class Killed(Exception):
    """The process ended here."""


@pytest.fixture(autouse=True)
def _searching(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks would be followed at once: have them searched."""
    monkeypatch.setattr(cost.Cost, "small", property(lambda _: False))


class Listener:
    """Hears everything, as text, and ends the process after so many messages."""

    def __init__(self, most: float = float("inf")) -> None:
        self.heard: list[tuple[int, str]] = []
        self.most = most

    def __call__(self, index, state):
        self.heard.append((index, json.dumps(state)))
        if len(self.heard) >= self.most:
            raise Killed

    @property
    def known(self):
        return {index: json.loads(state) for index, state in self.heard}


def certified(case, out, journal, spec=DARKER, indices=INPUTS):
    return {report.index: report for report in run(case, spec, indices, out, journal=journal)}


def killed(case, out, most):
    listener = Listener(most)
    with pytest.raises(Killed):
        certified(case, out, Journal(tell=listener, every_s=0.0))
    return listener.known


def test_what_an_interrupted_run_has_proven_is_taken_up(digits, tmp_path):
    case = digits["onnx"]
    whole = certified(case, tmp_path, None)
    rest = certified(case, tmp_path, Journal(killed(case, tmp_path, 2)))
    for index, report in whole.items():
        assert rest[index].verdict is report.verdict
        if report.segment is not None:
            mass, again = report.segment.robust_mass, rest[index].segment.robust_mass
            assert (again.lower, again.upper) == pytest.approx((mass.lower, mass.upper), abs=1e-9)
            assert rest[index].segment.certified_to == pytest.approx(report.segment.certified_to, abs=1e-9)


def test_a_decided_input_is_not_looked_at_again(digits, tmp_path):
    case, listener = digits["onnx"], Listener()
    whole = certified(case, tmp_path, Journal(tell=listener, every_s=0.0))
    told = {index for index in listener.known if not _open(listener.known[index])}
    assert told
    again = certified(case, tmp_path, Journal(listener.known))
    for index in told:
        assert again[index].segment.pieces == listener.known[index]["proven"]["pieces"]
        assert again[index].verdict is whole[index].verdict


def _open(entry):
    proven = entry["proven"]
    length = sum(stop - start for start, stop in proven["safe"] + proven["violated"])
    return length < 1.0


def lies(case, out) -> dict[int, dict[str, object]]:
    """Return entries that would certify everything if they were believed."""
    listener = Listener()
    certified(case, out, Journal(tell=listener, every_s=0.0))
    nothing = {"pieces": 1, "safe": [[0.0, 1.0]], "violated": [], "witnesses": [], "stuck": [],
               "lowest": None, "radius": 0.0}  # fmt: skip
    return {index: entry | {"proven": nothing} for index, entry in listener.known.items()}


OTHERS = {
    "margin": replace(DARKER, margin=0.25),
    "path": replace(DARKER, mutation=Mutation("brightness", 0.0, -0.75)),
    "kind": replace(DARKER, mutation=Mutation("contrast", 1.0, 0.5, {"about": 0.5})),
    "arithmetic": replace(DARKER, arithmetic=Arithmetic.FLOAT32),
    "seed": replace(DARKER, mutation=Mutation("noise", 0.0, 0.5, {"seed": 3})),
}


@pytest.mark.parametrize("spec", OTHERS.values(), ids=list(OTHERS))
def test_another_question_does_not_believe_it(digits, tmp_path, spec):
    case = digits["onnx"]
    believing = certified(case, tmp_path, Journal(lies(case, tmp_path)), spec)
    plain = certified(case, tmp_path, None, spec)
    assert {at: replace(row, seconds=0.0) for at, row in believing.items()} == {
        at: replace(row, seconds=0.0) for at, row in plain.items()
    }


def test_the_same_question_does(digits, tmp_path):
    """So the test above would notice."""
    told = lies(digits["onnx"], tmp_path)
    believing = certified(digits["onnx"], tmp_path, Journal(told))
    assert all(believing[index].segment.pieces == 1 for index in told)


def test_nothing_is_told_too_often(digits, tmp_path):
    listener, ticks = Listener(), count()
    certified(digits["onnx"], tmp_path, Journal(tell=listener, every_s=1e9, clock=lambda: float(next(ticks))))
    assert listener.heard == []


def test_what_json_cannot_say_is_not_told():
    heard = []
    entry = Journal(tell=lambda *told: heard.append(told), every_s=0.0).entry(0, lambda: "q")
    entry.note(lambda: {"radius": float("inf")})
    assert heard == []
    entry.note(lambda: {"radius": 1.0})
    assert heard == [(0, {"question": "q", "proven": {"radius": 1.0}})]
