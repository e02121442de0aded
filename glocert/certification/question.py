"""What is asked about one input: a class that must win on the path, and what a violation looks like."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol

from glocert.certification.band import WINNER, Bounds, banded
from glocert.certification.confirmation import violates
from glocert.certification.top_k import WINNER as RANKED
from glocert.certification.top_k import ranked
from glocert.graph.ir import Graph
from glocert.paths.items import Float32


class Question(Protocol):
    """One input's property, as the engine and the runtimes need it.

    Attributes:
        label: class that must win on the whole path.
        margin: by how much.
    """

    @property
    def label(self) -> int:
        """Class that must win."""
        ...

    @property
    def margin(self) -> float:
        """By how much."""
        ...

    def network(self, network: Graph) -> Graph:
        """Return the network whose class must win."""
        ...

    def violated(self, scores: Float32) -> bool:
        """Whether the scores of the original network, seen in one runtime, are a counterexample."""
        ...

    @property
    def key(self) -> Hashable:
        """What the network of ``network`` depends on besides the original one; None: it is asked once."""
        ...


@dataclass(frozen=True, slots=True)
class KeepsLabel:
    """The label's score exceeds all others by more than the margin."""

    label: int
    margin: float

    @property
    def key(self) -> Hashable:
        """The network is the same for all labels."""
        return ()

    def network(self, network: Graph) -> Graph:
        """Return the network as it is."""
        return network

    def violated(self, scores: Float32) -> bool:
        """Whether another score exceeds the label's less the margin."""
        return violates(scores, self.label, self.margin)


@dataclass(frozen=True, slots=True)
class StaysInBand:
    """Every output stays closer than a width to its value at the start."""

    bounds: Bounds
    width: float
    label: int = WINNER
    margin: float = 0.0

    @property
    def key(self) -> Hashable:
        """Every input has a centre of its own."""
        return None

    def network(self, network: Graph) -> Graph:
        """Return the network with the band as its class ``WINNER``."""
        return banded(network, self.bounds)

    def violated(self, scores: Float32) -> bool:
        """Whether an output is at least the width away from the centre."""
        return self.bounds.left_by(scores, self.width)


@dataclass(frozen=True, slots=True)
class StaysInTopK:
    """The score of class ``target`` exceeds the k-th largest of the others by more than the margin."""

    target: int
    k: int
    margin: float
    label: int = RANKED

    @property
    def key(self) -> Hashable:
        """One network serves all inputs of a class."""
        return self.target, self.k

    def network(self, network: Graph) -> Graph:
        """Return the network with "among the k best" as its class 0."""
        return ranked(network, self.target, self.k)

    def violated(self, scores: Float32) -> bool:
        """Whether k other scores exceed the label's less the margin; a tie is no violation."""
        return violates(scores, self.target, self.margin, self.k)
