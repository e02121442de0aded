"""The in-toto Statement about a job that succeeded.

It is a function of the job, its network, its data set and its rows; ids and moments have members of their own
(``job`` and ``times``), so that the same work gives the same statement but for those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.certificates.latent_statement import latent_domain, latent_not_claimed
from app.certificates.parts import STATEMENT, dataset_of, finite, moment, reproducibility, subjects
from glocert import __version__
from glocert.spec import Mutation
from models import Dataset, Job, Network

PREDICATE = "urn:glocert:certificate:segment:v1"
CLAIMS_NOT_MADE = (
    "Nothing is claimed about inputs that are not listed, nor about changes other than the named mutation.",
    "The path is the mutation as defined here; that it resembles changes in the world is not claimed.",
    "The labels of the data set are taken as given.",
    "The ends of the parts of a partition are computed, not enclosed.",
    "Undecided is not certified, and skipped inputs were not examined.",
    "That the imported graph computes what the upload computes was compared on random inputs, not proved.",
)
REAL = (
    "The arithmetic is that of real numbers: a runtime that rounds may differ where a margin is small. "
    "Counterexamples were seen in the named float32 runtimes."
)
"""not claimed where the arithmetic is ``real``"""
FLOAT32 = (
    "Executions other than float32 are not covered, nor kernels that do not multiply and add what the "
    "network's layers say: TF32, bfloat16, Winograd and FFT convolutions. Nor is what follows the scores: a "
    "Softmax that was left out on import may round two scores to one probability."
)
"""not claimed where it is ``float32``"""
EXECUTIONS = (
    "real numbers, and every float32 execution in any order of summation, fused or not, with pointwise "
    "affine nodes folded into the product before them or not, on x(t) rounded to float32"
)
FORMULA = (
    "for every listed input x with verdict certified and every t in [0, 1]: "
    "score(label, f(clamp(x(t)))) - max over other classes of score > margin"
)
BAND_FORMULA = (
    "for every listed input x with verdict certified, every t in [0, 1] and every output i: "
    "|y_i(clamp(x(t))) - centre_i| < width, with the recorded centre of the input: y(clamp(x(0))) in float64"
)
TOP_K_FORMULA = (
    "for every listed input x with verdict certified and every t in [0, 1]: "
    "score(label, f(clamp(x(t)))) - k-th largest score of the other classes > margin"
)
FORMULAS = {"label": FORMULA, "band": BAND_FORMULA, "top_k": TOP_K_FORMULA}
MASS = "encloses the share of t in [0, 1] at which the inequality holds"
MASS_UNDER_LAW = (
    "encloses the probability that the inequality holds where the mutation's parameter follows the law; "
    "the verdict is about every t in [0, 1], likely or not"
)
ONE = "t in [0, 1]"
"""as formulas write it"""
AT_ONCE = (
    "x(t) is the path of several mutations, of which mutation j has the parameter t_j: motions first, "
    "as one, or a blur; the others follow in their order, and nothing is clamped before the end"
)
BOXES = "every bound on a box of parameters includes every rounding"
CURVE = "error_radius of each result bounds the error of every margin on the path"
PAIRED = (
    "every input is two images on the channel axis: x(t) is the first one mutated, and behind it the second "
    "one unchanged"
)
LAW_NOT_CLAIMED = "That the law describes how often values of the parameter occur is not claimed."
BAND_NOT_CLAIMED = (
    "The centre of a band is the recorded float64 number; the exact output at the start of the path may "
    "differ from it by rounding.",
    "robust_mass encloses the share for the band whose ends are rounded inwards to float64.",
)


def build(
    job: Job,
    network: Network,
    dataset: Dataset,
    rows: Sequence[Mapping[str, Any]],
    pictures: Mapping[int, str],
    others: Mapping[str, Network] | None = None,
) -> dict[str, Any]:
    """Return the statement as plain data.

    Args:
        job: with its summary, at its end.
        network: what was certified.
        dataset: the inputs.
        rows: one per input, by index.
        pictures: digest of the counterexample's picture, by index.
        others: generator and encoder of a mutation through them, by role.
    """
    return {
        "_type": STATEMENT,
        "subject": subjects(network),
        "predicateType": PREDICATE,
        "predicate": {
            "job": {"id": job.id, "kind": job.kind, "tags": job.tags},
            "property": _property(job),
            "domain": _domain(job, network, dataset, rows) | latent_domain(job, others or {}),
            "method": _method(job),
            "results": [_result(row, pictures) for row in rows],
            "aggregate": _aggregate(job),
            "warnings": job.warnings,
            "claims_not_made": _not_claimed(job),
            "reproducibility": reproducibility(network, _seeds(job)),
            "times": {"submitted_at": moment(job.created_at), "issued_at": moment(job.finished_at)},
        },
    }


def _property(job: Job) -> dict[str, Any]:
    return {
        "standard": "ISO/IEC 24029-2:2023",
        "kind": "stability",
        "formula": _over(job, FORMULAS[_type(job)]),
        "robust_mass": _over(job, MASS) if _is_uniform(job) else MASS_UNDER_LAW,
        "law": _law(job),
        **{name: value for name, value in (job.spec.get("property") or {}).items() if name != "type"},
        "margin": job.spec["margin"],
        "tie_rule": "a tie counts as a violation",
    }


def _domain(
    job: Job, network: Network, dataset: Dataset, rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    at_once = len(_at_once(job))
    return {
        "dataset": dataset_of(dataset),
        "indices": [row["index"] for row in rows],
        "labels": _labels(job, dataset),
        "preprocessing": network.preprocessing,
        "mutation": _with_units(job.spec["mutation"]),
        **({"at_once": AT_ONCE} if at_once else {}),
        **({"paired": PAIRED} if job.spec.get("paired") else {}),
        "t": [[0.0, 1.0]] * at_once if at_once else [0.0, 1.0],
    }


def _at_once(job: Job) -> list[dict[str, Any]]:
    """Return the mutations of a box, each with a parameter of its own; none of other jobs."""
    return list(job.spec["mutation"].get("mutations") or ())


def _over(job: Job, text: str) -> str:
    """Return what is said about every t, of a box for as many t as it has mutations."""
    at_once = len(_at_once(job))
    return text.replace(ONE, f"{ONE}^{at_once}") if at_once else text


def _with_units(mutation: Mapping[str, Any]) -> dict[str, Any]:
    at_once = [_with_units(one) for one in mutation.get("mutations") or ()]
    found = {**mutation, "unit": Mutation.from_json(mutation).unit}
    return found | ({"mutations": at_once} if at_once else {})


def _not_claimed(job: Job) -> list[str]:
    law = () if _is_uniform(job) else (LAW_NOT_CLAIMED,)
    rounding = REAL if job.spec["arithmetic"] == "real" else FLOAT32
    band = BAND_NOT_CLAIMED if _is_band(job) else ()
    return [*CLAIMS_NOT_MADE[:2], rounding, *CLAIMS_NOT_MADE[2:], *law, *band, *latent_not_claimed(job)]


def _labels(job: Job, dataset: Dataset) -> str:
    if _is_band(job):
        return "none: the property is about the outputs"
    return "data set" if dataset.labels_sha256 else "the network's own, on the unchanged input"


def _law(job: Job) -> dict[str, Any]:
    return dict(job.spec.get("law") or {"type": "uniform"})


def _is_uniform(job: Job) -> bool:
    return bool(_law(job)["type"] == "uniform")


def _type(job: Job) -> str:
    return str((job.spec.get("property") or {"type": "label"})["type"])


def _is_band(job: Job) -> bool:
    return _type(job) == "band"


def _method(job: Job) -> dict[str, Any]:
    names = ("method", "parts") if job.spec["analysis"] == "incomplete" else ()
    return {
        "name": "gcert-segment",
        "engine": {"name": "glocert", "version": __version__},
        "analysis": job.spec["analysis"],
        **{name: job.spec[name] for name in names},
        "arithmetic": job.spec["arithmetic"],
        "execution": "real numbers" if job.spec["arithmetic"] == "real" else EXECUTIONS,
        "gap": job.spec["gap"],
        "error_budget": BOXES if _at_once(job) else CURVE,
    }


def _result(row: Mapping[str, Any], pictures: Mapping[int, str]) -> dict[str, Any]:
    names = (
        "index", "label", "predicted", "outputs", "centre", "verdict", "reason", "robust_mass",
        "certified_to", "min_margin", "error_radius", "pieces", "family", "analysis", "method", "partition",
    )  # fmt: skip
    result = {name: finite(row[name]) for name in names if name in row}
    if "latent" in row:
        result["latent"] = finite(row["latent"])
    if found := row.get("counterexample"):
        members = ("t", "value", "parameters", "predicted", "outputs", "confirmed_in")
        kept = {name: found[name] for name in members if name in found}
        result["counterexample"] = kept | {"image_sha256": pictures.get(row["index"])}
    return result


def _aggregate(job: Job) -> dict[str, Any]:
    return {name: value for name, value in (job.summary or {}).items() if name != "seconds"}


def _seeds(job: Job) -> dict[str, int]:
    mutation = job.spec["mutation"]
    parts = {"mutation": mutation}
    for name in ("steps", "mutations"):
        parts |= {f"mutation.{name}[{at}]": part for at, part in enumerate(mutation.get(name) or ())}
    return {name: part["seed"] for name, part in parts.items() if part.get("seed") is not None}
