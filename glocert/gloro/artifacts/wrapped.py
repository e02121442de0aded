"""A network with everything that its file decides by.

All constants are float32, rounded to the safe side once more than needed: whoever recomputes them on another
machine, with sums in another order, still finds them on the safe side.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from glocert.errors import InvalidSpec
from glocert.gloro.artifacts.single import in_single
from glocert.gloro.artifacts.slack import HEADROOM, REACH, SAFE, Slack, single_above, slack_of
from glocert.graph.append import reshaped
from glocert.graph.ir import Graph
from glocert.lipschitz.heads import scored
from glocert.lipschitz.network import LipschitzBound, bound

LARGEST = 2.0**60
"""Scores whose absolute values add up to more are not answered; constants are not below its inverse."""


@dataclass(frozen=True, slots=True, eq=False)
class Wrapped:
    """A network and the constants that decide about its scores.

    Attributes:
        network: float32, from raw inputs to scores; see ``in_single``.
        bound: proven constants of exactly this network.
        pairs: float32, shape (classes, classes): ``bound.pairs`` with the rate of the slack, rounded up; zero
            on the diagonal.
        slack: what float32 execution may cost.
        epsilon: float32: radius that is asked for unless another is given, rounded up.
        requested: that radius before rounding.
        stripped: names of nodes behind the scores that the network came with, and that are left out.
    """

    network: Graph
    bound: LipschitzBound
    pairs: NDArray[np.float32]
    slack: Slack
    epsilon: np.float32
    requested: float
    stripped: tuple[str, ...] = ()

    @property
    def terms(self) -> NDArray[np.float32]:
        """The slack as the file holds it: fixed, rate, added, limit; float32, rounded up."""
        return single_above(np.array(astuple(self.slack)))

    @property
    def classes(self) -> int:
        """How many scores the network returns."""
        return len(self.pairs)


def wrap(graph: Graph, epsilon: float) -> Wrapped:
    """Bound a classifier and return it with its constants.

    Args:
        graph: takes raw inputs, so clamp and preprocessing are its first nodes. Without a clamp to a finite
            domain the error of execution has no useful bound, and nothing is ever certified.
        epsilon: radius of the ball, l2, raw input units.

    Raises:
        InvalidSpec: epsilon is no radius, the network has one score, or its numbers do not fit float32.
        UnsupportedOperators: names every node without a constant, or whose rounding errors are not known.
    """
    if not 0 <= epsilon <= REACH:
        raise InvalidSpec(f"epsilon must lie between 0 and {REACH:g}, not {epsilon}")
    head, stripped = scored(graph)
    network = in_single(_flat(head))
    if network.output_shape[0] < 2:
        raise InvalidSpec("a network is wrapped by its class scores; it needs at least two of them")
    found, slack = bound(network), slack_of(network)
    stored = np.float32(epsilon)
    if float(stored) < epsilon:
        stored = np.float32(single_above(np.array(epsilon)))
    return Wrapped(network, found, pairs_of(found, slack), slack, stored, epsilon, stripped)


def covering(wrapped: Wrapped, found: LipschitzBound, slack: Slack) -> Wrapped:
    """Return the same network with constants that cover another proof about it too.

    A reader of another format may cut the network into other parts, and prove slightly larger constants.
    """
    ours, theirs = astuple(wrapped.slack), astuple(slack)
    both = Slack(*map(max, ours, theirs))
    pairs = np.maximum(pairs_of(wrapped.bound, both), pairs_of(found, both))
    return replace(wrapped, pairs=pairs, slack=both)


def _flat(graph: Graph) -> Graph:
    """Return a network whose scores are one vector."""
    return reshaped(graph, (math.prod(graph.output_shape),), "scores")


def pairs_of(found: LipschitzBound, slack: Slack) -> NDArray[np.float32]:
    """Return the constants as the file holds them: rounded up, and none so small that a quotient overflows.

    Raises:
        InvalidSpec: one of them does not fit.
    """
    raised = (found.pairs.numpy() + slack.rate) * SAFE
    np.fill_diagonal(raised, 0.0)
    if not raised.max() < HEADROOM:
        raise InvalidSpec("the Lipschitz constants are too large for float32")
    return single_above(np.where(raised > 0, np.maximum(raised, 1 / LARGEST), 0.0))
