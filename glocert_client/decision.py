"""From the jobs of a run to one decision and one exit code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

VERDICTS = ("certified", "falsified", "undecided", "skipped")


class Decision(IntEnum):
    """The value is the exit code."""

    PASS = 0
    FAIL = 1
    INCONCLUSIVE = 2
    DEADLINE = 3
    ERROR = 4

    @property
    def word(self) -> str:
        """As it is written in JSON."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Judgement:
    """A decision and the sentence that gives its ground."""

    decision: Decision
    ground: str


def judge(
    job: Mapping[str, Any], min_certified_rate: float | None, min_vra: float | None = None
) -> Judgement:
    """Decide about one finished job.

    Without a rate the job passes when something was certified and nothing was falsified or left undecided;
    inputs that the network gets wrong anyway (``skipped``) are no part of that question.  With a rate, the
    certified share of *all* inputs counts, as in ``summary.certified_rate``.  With a VRA, the proven share
    at the largest epsilon counts: what is not proven is not there, so that a smaller one fails. Jobs that
    certify nothing but make something pass when they have succeeded.

    Args:
        job: the document of the API.
        min_certified_rate: smallest accepted share, in [0, 1].
        min_vra: smallest accepted verified-robust accuracy, in [0, 1].
    """
    if job["status"] != "succeeded":
        return _without_answer(job)
    if min_vra is not None:
        return _against_vra(job["summary"], min_vra)
    if "certified" not in job["summary"]:
        return _made(job["summary"])
    counts = {
        word: int(job["summary"].get(word, 0)) for word in ("certified", "falsified", "undecided", "skipped")
    }
    inputs = int(job["summary"]["inputs"])
    if min_certified_rate is not None:
        return _against_rate(counts, inputs, min_certified_rate)
    return _against_falsification(counts, inputs)


def overall(judgements: Iterable[Judgement]) -> Decision:
    """Return the decision about several jobs: the worst one; errors first, then deadlines, then failures."""
    order = (Decision.ERROR, Decision.DEADLINE, Decision.FAIL, Decision.INCONCLUSIVE, Decision.PASS)
    found = {judgement.decision for judgement in judgements}
    return next((decision for decision in order if decision in found), Decision.INCONCLUSIVE)


def _without_answer(job: Mapping[str, Any]) -> Judgement:
    problem = job.get("error") or {}
    late = str(problem.get("type", "")).endswith("/deadline-exceeded")
    ground = str(problem.get("detail") or problem.get("title") or f"the job was {job['status']}")
    return Judgement(Decision.DEADLINE if late else Decision.ERROR, ground)


def _made(summary: Mapping[str, Any]) -> Judgement:
    """Pass a job that makes something or answers without verdicts: it has ended."""
    counted = ((name, len(summary[name])) for name in ("directions", "artifacts") if name in summary)
    name, count = next(counted, ("answers", 1))
    return Judgement(Decision.PASS, f"{count} {name if count != 1 else name[:-1]} made")


def _against_rate(counts: Mapping[str, int], inputs: int, rate: float) -> Judgement:
    certified, at_best = counts["certified"], counts["certified"] + counts["undecided"]
    ground = f"{certified} of {inputs} inputs certified, {rate:.1%} required"
    # In whole inputs, so that 0.9 of 10 means 9 in spite of binary fractions.
    required = rate * inputs - 1e-9 * inputs
    if inputs and certified >= required:
        return Judgement(Decision.PASS, ground)
    if inputs and at_best < required:
        return Judgement(Decision.FAIL, ground)
    return Judgement(Decision.INCONCLUSIVE, f"{ground}; {counts['undecided']} undecided")


def _against_vra(summary: Mapping[str, Any], required: float) -> Judgement:
    if not summary.get("vra"):
        return Judgement(
            Decision.INCONCLUSIVE, "there is no VRA: the job has no labels, or is of another kind"
        )
    epsilon, vra = max(
        ((float(key), value) for key, value in summary["vra"].items()), key=lambda each: each[0]
    )
    decision = Decision.PASS if vra >= required - 1e-9 else Decision.FAIL
    return Judgement(decision, f"VRA {vra:.1%} at epsilon {epsilon:g}, {required:.1%} required")


def _against_falsification(counts: Mapping[str, int], inputs: int) -> Judgement:
    if counts["falsified"]:
        return Judgement(Decision.FAIL, f"{counts['falsified']} of {inputs} inputs falsified")
    if counts["undecided"]:
        return Judgement(Decision.INCONCLUSIVE, f"{counts['undecided']} of {inputs} inputs undecided")
    if not counts["certified"]:
        return Judgement(Decision.INCONCLUSIVE, "no input could be certified: all were skipped")
    return Judgement(Decision.PASS, f"all {counts['certified']} inputs certified that the network gets right")
