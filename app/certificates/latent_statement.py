"""What a statement says about a mutation through a generator."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import rfc8785

from models import Job, Network

SCOPE = (
    "A theorem about the network behind the generator, on the listed segments of its latent space. It is "
    "about the mutation that the direction is named after only as far as a code stands for its input "
    "(psnr, ssim, label_kept), the image moves without jumps and stops (continuity), and nothing else moves "
    "with it (independency); each result has these measures."
)
PATHS = {
    "residual": "x(t) = G(z + s(t) v) + (x - G(z)), with the code z of each result: x(0) is the input where "
    "s begins at 0",
    "generated": "x(t) = G(z + s(t) v), with the code z of each result: x(0) is what the generator makes",
}
FLOAT32 = (
    "a float32 execution computes generator, sum and network in float32, from vectors rounded to float32"
)
MEASURES = "Continuity, independency, psnr and ssim are computed in float64, not enclosed."


def latent_domain(job: Job, others: Mapping[str, Network]) -> dict[str, Any]:
    """Return the member ``latent`` of a domain; nothing for other mutations."""
    asked = latent_mutations(job)
    if not asked:
        return {}
    path = PATHS[asked[0]["anchor"]]
    if len(asked) > 1:
        path = path.replace("s(t) v", "sum_j s_j(t_j) v_j")
    found = {
        "scope": SCOPE,
        "path": path,
        "executions": FLOAT32 if job.spec["arithmetic"] == "float32" else None,
        "directions": [_direction(one) for one in asked],
        **{role: _network(network) for role, network in sorted(others.items())},
    }
    return {"latent": found}


def latent_not_claimed(job: Job) -> tuple[str, ...]:
    """Return what a certificate of such a mutation does not claim."""
    return (MEASURES,) if latent_mutations(job) else ()


def latent_mutations(job: Job) -> list[Mapping[str, Any]]:
    """Return the latent mutations of a job."""
    asked = job.spec["mutation"]
    return [one for one in asked.get("mutations") or [asked] if one["type"] == "latent"]


def _direction(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return how long a direction is, and the digest of its numbers as canonical JSON."""
    vector = asked["direction"]
    digest = hashlib.sha256(rfc8785.dumps(list(vector))).hexdigest()
    return {"id": asked.get("direction_id"), "dimension": len(vector), "sha256": digest}


def _network(network: Network) -> dict[str, Any]:
    return {
        "name": network.filename,
        "sha256": network.sha256,
        "graph_sha256": network.graph_sha256,
        "preprocessing": network.preprocessing,
    }
