"""What a job would cost, from a few inputs that are certified for real."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from glocert.certification.case import Case
from glocert.certification.unit import run
from glocert.errors import GlocertError
from glocert.report import InputReport
from glocert.spec import Mutation, Preprocessing, Property, SegmentSpec, Verdict

INPUTS, TRIED = 3, 20


@dataclass(frozen=True, slots=True)
class Plan:
    """The job whose cost is asked for.

    Attributes:
        mutation: its path.
        property: what it certifies.
        inputs: how many items it has.
        workers: that are at hand.
        seconds: to spend on the estimate.
        block_bytes: memory of one block of the engine.
    """

    mutation: Mutation
    property: Property
    inputs: int
    workers: int
    seconds: float
    block_bytes: int = 64 * 2**20


def estimate(
    case: Case, preprocessing: Preprocessing, indices: Sequence[int], out: Path, plan: Plan, device: str
) -> dict[str, Any]:
    """Certify up to three items and extrapolate.

    Args:
        case: files of the job.
        preprocessing: settings to certify with.
        indices: items worth trying: those that the network gets right.
        out: existing folder for pictures.
        plan: the job.
        device: where the engine computes.

    Returns:
        ``mutation``, ``measured`` (how many inputs), ``seconds_per_input`` (``least``, ``median``, ``most``),
        ``inputs``, ``workers``, ``seconds`` of the whole job, ``at_least`` (the time for the estimate ended
        before an input was decided), ``note``; or ``note`` alone where nothing could be measured.
    """
    if not indices:
        return _nothing("No item is right under these settings: there is nothing to certify.")
    spec = SegmentSpec(plan.mutation, seconds_per_input=plan.seconds, property=plan.property)
    settled = replace(case, preprocessing=preprocessing, labels=None)
    try:
        reports = _measured(settled, spec, indices[:TRIED], out, plan, device)
    except GlocertError as error:
        return _nothing(f"Nothing could be certified: {error}")
    if not reports:
        return _nothing(
            "A job would skip all items tried: they leave the domain, the network's answer is not finite, or "
            "a generator does not make them."
        )
    return _extrapolated(reports, plan)


def _measured(
    case: Case, spec: SegmentSpec, indices: Sequence[int], out: Path, plan: Plan, device: str
) -> list[InputReport]:
    """Certify one input after the other until the time is over; those that a job skips cost nothing."""
    deadline, found = time.monotonic() + plan.seconds, []
    for report in run(case, spec, indices, out, device=device, block_bytes=plan.block_bytes):
        if report.verdict is not Verdict.SKIPPED:
            found.append(report)
        if len(found) == INPUTS or time.monotonic() >= deadline:
            break
    return found


def _extrapolated(reports: Sequence[InputReport], plan: Plan) -> dict[str, Any]:
    seconds = [report.seconds for report in reports]
    median = statistics.median(seconds)
    cut = any(report.verdict is Verdict.UNDECIDED and report.reason == "budget" for report in reports)
    rounds = math.ceil(plan.inputs / max(1, plan.workers))
    return {
        "mutation": plan.mutation.to_json(),
        "measured": len(reports),
        "seconds_per_input": {"least": min(seconds), "median": median, "most": max(seconds)},
        "inputs": plan.inputs,
        "workers": plan.workers,
        "seconds": median * rounds,
        "at_least": cut,
        "note": f"An estimate from {len(reports)} of {plan.inputs} inputs, certified here and now; "
        "other inputs and longer paths may take much longer."
        + (" An input was not decided in the time for it: the job takes longer than this." if cut else ""),
    }


def _nothing(note: str) -> dict[str, Any]:
    return {"measured": 0, "seconds": None, "note": note}
