"""What float32 execution may cost, as a function of the input that a file can evaluate for itself.

The ledger of size and drift is built from sums, factors and square roots of sums of squares, all with
non-negative coefficients, so the slack is a convex function of the norm t of what enters the network behind
its first clamp. On [0, T] it lies below the chord through its ends, ``fixed + rate t``. Over a ball of radius
r, t grows by r at most: certifying with ``fixed + rate t`` and constants raised by ``rate`` covers every
input of the ball. Limits that the network itself sets further inside would break convexity; without them the
slack is only larger.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from glocert.errors import InvalidSpec, Offence, UnsupportedOperators
from glocert.graph.ir import Graph
from glocert.lipschitz.execution import SINGLE, Ledger, ledger
from glocert.rounding import grow

REACH = 2.0**40
"""Largest l2 norm of an input that is answered, and largest radius."""

TINY = 2.0**-100
"""Exceeds everything that float32 loses to numbers below its smallest normal one, flushed or not."""

HEADROOM = 2.0**100
"""No number that is added up on the way reaches it."""

SAFE = 1 + 2.0**-21
"""Lifts the result of up to five float32 operations above the exact one, with room for a verifier."""


@dataclass(frozen=True, slots=True)
class Slack:
    """By how much a lead must exceed what the theorem asks for: ``fixed + rate min(|x| + added, limit)``.

    Attributes:
        fixed: whatever the input is.
        rate: per unit of norm; float32 evaluation of the whole formula is covered.
        added: bound on the norm that the first clamp can add to an input.
        limit: bound on the norm of what leaves the first clamp; ``REACH`` where there is none.
    """

    fixed: float
    rate: float
    added: float
    limit: float


def slack_of(network: Graph) -> Slack:
    """Return the slack of a float32 network.

    Raises:
        UnsupportedOperators: names the nodes whose rounding errors are not known.
        InvalidSpec: a number on the way might not fit float32.
    """
    whole = ledger(network)
    _refuse_unknown(network, whole)
    added, limit, rest = _behind_clamp(whole)
    ends = torch.tensor([0.0, 1.0, limit], dtype=torch.float64)
    none, _, most = (float(value) for value in rest.slack(ends, SINGLE))
    if not (_largest(rest, limit) < HEADROOM and most < HEADROOM):
        raise InvalidSpec("numbers inside the network may be too large for float32")
    rate = max(0.0, most - none) / limit * grow(8)
    lengths = SAFE * (1 + (math.prod(network.input_shape) + 8) * SINGLE)
    return Slack(none * SAFE + 2 * TINY, rate * lengths, added * SAFE, limit * SAFE)


def _behind_clamp(whole: Ledger) -> tuple[float, float, Ledger]:
    """Return what the first clamp adds, what it lets through, and the ledger behind it."""
    if not whole.steps:
        return 0.0, 3 * REACH, whole
    first, *others = whole.steps
    steps = tuple(replace(step, limit=math.inf) for step in others)
    exact = first.roundings == 0 and first.norm == 1.0 and first.absolute == 0.0
    alone = all(whole.input not in step.inputs for step in others) and whole.output != whole.input
    if exact and alone and 0 < first.limit < REACH:
        return first.added, first.limit, Ledger(first.output, whole.output, steps)
    steps = tuple(replace(step, limit=math.inf) for step in whole.steps)
    return 0.0, 3 * REACH, Ledger(whole.input, whole.output, steps)


def _refuse_unknown(network: Graph, whole: Ledger) -> None:
    unknown = {step.output for step in whole.steps if step.roundings < 0}
    if unknown:
        nodes = [node for node in network.nodes if node.output in unknown]
        detail = "how exactly a runtime computes it is not known"
        offences = [Offence(node.name, detail, node.operator) for node in nodes]
        names = ", ".join(sorted({node.operator for node in nodes}))
        raise UnsupportedOperators(f"no bound on the rounding errors of {names} is known", offences)


def _largest(steps: Ledger, norm: float) -> float:
    """Return a bound on every number that is added up on the way, rounding errors aside."""
    sizes = {steps.input: torch.tensor(norm, dtype=torch.float64)}
    largest = norm
    for step in steps.steps:
        known = [sizes[name] for name in step.inputs]
        sizes[step.output] = step.size(known)
        reached = step.absolute * float(sum(known)) + step.added
        largest = max(largest, reached, float(sizes[step.output]))
    return largest


def single_above(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return float32 numbers above the given non-negative ones; zero stays zero."""
    above = np.nextafter(np.asarray(values, np.float32), np.float32(np.inf))
    return np.where(np.asarray(values) > 0, above, np.float32(0))
