"""The in-toto Statement about a Lipschitz certification that succeeded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.certificates.parts import STATEMENT, dataset_of, finite, moment, reproducibility, subjects
from glocert import __version__
from models import Dataset, Job, Network

PREDICATE = "urn:glocert:certificate:lipschitz:v1"
FORMULA = (
    "for every listed input x, every listed epsilon e with certified[e] and every x' with "
    "distance(x, x') <= e: argmax f(x') = predicted, and no other score equals it"
)
RELAXED = (
    "for every listed input x, every listed epsilon e, every k in guaranteed[e] and every x' with "
    "distance(x, x') <= e: the set of the k classes with the largest scores at x' is the one at x"
)
REAL = "f is computed with real numbers: a runtime that rounds may differ where a margin is small."
FLOAT32 = (
    "f is any float32 execution of the graph, in any order of summation, without fast or low-precision "
    "arithmetic such as TF32, bfloat16 or Winograd convolutions."
)
CLAIMS_NOT_MADE = (
    "Nothing is claimed about inputs that are not listed, nor about changes that are larger than epsilon.",
    "Certified does not mean right: certified_but_wrong counts inputs that keep a wrong label.",
    "The labels of the data set are taken as given.",
    "A radius is a lower bound: that another label lies just beyond it is not claimed.",
    "Lower estimates of constants, and tightness with them, are estimates.",
    "That the imported graph computes what the upload computes was compared on random inputs, not proved.",
)


def build(job: Job, network: Network, dataset: Dataset, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the statement as plain data.

    Args:
        job: with its summary, at its end.
        network: what was certified.
        dataset: the inputs.
        rows: one per input, by index.
    """
    spec, summary = job.spec, dict(job.summary or {})
    bound = summary.pop("bound", None)
    return {
        "_type": STATEMENT,
        "subject": subjects(network),
        "predicateType": PREDICATE,
        "predicate": {
            "job": {"id": job.id, "kind": job.kind, "tags": job.tags},
            "property": {
                "standard": "ISO/IEC 24029-2:2023",
                "kind": "stability",
                "formula": FORMULA if spec["relaxation"] is None else RELAXED,
                "relaxation": spec["relaxation"],
                "epsilons": spec["epsilons"],
                "norm": spec["norm"],
                "tie_rule": "a tie counts as a violation",
            },
            "domain": {
                "dataset": dataset_of(dataset),
                "indices": [row["index"] for row in rows],
                "labels": "data set" if dataset.labels_sha256 else "none",
                "preprocessing": network.preprocessing,
                "unit": "of the data's domain, in front of the preprocessing",
            },
            "method": {
                "name": "gloro-lipschitz",
                "engine": {"name": "glocert", "version": __version__},
                "radii": spec["method"],
                "arithmetic": spec["arithmetic"],
                "execution": REAL if spec["arithmetic"] == "real" else FLOAT32,
                "bound": finite(bound),
            },
            "results": [_result(row) for row in rows],
            "aggregate": finite(_untimed(summary)),
            "warnings": job.warnings,
            "claims_not_made": list(CLAIMS_NOT_MADE),
            "reproducibility": reproducibility(network, {}),
            "times": {"submitted_at": moment(job.created_at), "issued_at": moment(job.finished_at)},
        },
    }


TIMED = frozenset(
    {"seconds", "forward_seconds", "milliseconds_per_input", "fine_tuning_seconds_per_1000_inputs"}
)


def _untimed(value: Any) -> Any:
    """Return plain data without what the clock said, at any depth."""
    if isinstance(value, Mapping):
        return {name: _untimed(part) for name, part in value.items() if name not in TIMED}
    return value


def _result(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: finite(value) for name, value in _untimed(row).items() if name != "next_step"}
