"""How many inputs make a unit: as many as take some seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UNIT_S = 3.0
LARGEST = 32
INPUT_S = 0.03
"""what every input costs, however small the network: loading, confirming, drawing"""
FLOPS = 4e9
CROSSED = 0.1
"""share of the nonlinear units that a typical path crosses; each crossing costs one pass"""
REUSE = 30
"""multiplications per activation in a convolution, whose few weights say nothing about its cost"""


def inputs_per_unit(inspection: Mapping[str, Any] | None) -> int:
    """Return the size of a unit from the facts that inspection found; a guess errs on the short side."""
    facts = inspection or {}
    nonlinear = int(facts.get("nonlinear_units") or 0)
    work = 2 * max(int(facts.get("parameters") or 0), REUSE * nonlinear)
    seconds = INPUT_S + CROSSED * nonlinear * work / FLOPS
    return max(1, min(LARGEST, int(UNIT_S / seconds)))


ENCODING_PASSES = 3
"""forward passes that a step of refining one code costs"""


def inputs_per_latent_unit(
    network: Mapping[str, Any] | None, generator: Mapping[str, Any] | None, encoding: Mapping[str, Any]
) -> int:
    """Return the size of a unit whose inputs go through a generator: codes are looked for first."""
    facts, made = network or {}, generator or {}
    names = ("nonlinear_units", "parameters")
    both = {name: int(facts.get(name) or 0) + int(made.get(name) or 0) for name in names}
    work = 2 * max(int(made.get("parameters") or 0), REUSE * int(made.get("nonlinear_units") or 0))
    passes = ENCODING_PASSES * encoding["steps"] * encoding["restarts"] + encoding["samples"]
    return max(1, min(inputs_per_unit(both), int(UNIT_S / (INPUT_S + passes * work / FLOPS))))


LIPSCHITZ_BATCH = 512
"""inputs that one forward pass answers at once"""
LIPSCHITZ_UNIT_S = 30.0
PREDICTION_UNIT = 4096
"""inputs of a unit that answers: each unit verifies the wrapped file once"""


def inputs_per_lipschitz_unit(spec: Mapping[str, Any]) -> int:
    """Return the size of a unit of a Lipschitz certification, from the request."""
    if spec["method"] == "global":
        return LIPSCHITZ_BATCH
    return max(1, min(LARGEST, int(LIPSCHITZ_UNIT_S / float(spec["budget"]["seconds_per_input"]))))
