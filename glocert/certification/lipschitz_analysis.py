"""What is proven of a network once, for all inputs; every unit of a job shares it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glocert.certification.case import Subject
from glocert.errors import InvalidSpec
from glocert.lipschitz.execution import Ledger, ledger
from glocert.lipschitz.heads import scored
from glocert.lipschitz.network import LipschitzBound, Part, bound
from glocert.lipschitz.norm import Norm
from glocert.lipschitz.search import Steepest, steepest_pair

VERSION = "glocert-lipschitz/2"
"""Changes whenever a method here changes what it proves: old files are then not read."""

_SEARCHED = 16


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """The proven constants of one network.

    Attributes:
        digest: of the network behind its preprocessing: ``Graph.digest``.
        stripped: names of nodes behind the scores, which keep their order: the statement is about the
            scores in front of them.
        bound: constants in the l2 norm of the raw input.
        ledger: what rounding may do, for every norm of inputs and number type.
        steepest: the steepest pair of scores that was seen, an estimate from below.
        seconds: that it took.
    """

    digest: str
    stripped: tuple[str, ...]
    bound: LipschitzBound
    ledger: Ledger
    steepest: Steepest
    seconds: float

    def report(self) -> dict[str, Any]:
        """Return what the job shows of it; a tightness that is not known is ``null``."""
        pairs = _off_diagonal(self.bound.pairs)
        return {
            "parts": [_part(part) for part in self.bound.parts],
            "features": self.bound.features,
            "scores": self.bound.scores,
            "stripped": list(self.stripped),
            "pairs": {
                "min": float(pairs.min()),
                "median": float(pairs.median()),
                "max": float(pairs.max()),
            },
            "seen": {**asdict(self.steepest), "tightness": self.steepest.ratio},
            "seconds": self.seconds,
        }

    def to_bytes(self) -> bytes:
        """Serialise; every float survives exactly."""
        from safetensors.numpy import save

        structure = {
            "version": VERSION,
            "digest": self.digest,
            "stripped": list(self.stripped),
            "parts": [asdict(part) for part in self.bound.parts],
            "features": self.bound.features,
            "scores": self.bound.scores,
            "ledger": self.ledger.to_json(),
            "steepest": asdict(self.steepest),
            "seconds": self.seconds,
        }
        return save({"pairs": self.bound.pairs.numpy()}, metadata={"analysis": json.dumps(structure)})

    @classmethod
    def from_bytes(cls, data: bytes, digest: str) -> Analysis:
        """Read what ``to_bytes`` wrote, for the network of that digest.

        The bytes are believed: whoever keeps them keeps their own digest with them and checks it.

        Raises:
            ValueError: not such a file, or about another network or version.
        """
        from safetensors.numpy import load

        length = int.from_bytes(data[:8], "little")
        stored = json.loads(json.loads(data[8 : 8 + length]).get("__metadata__", {}).get("analysis", "{}"))
        if stored.get("version") != VERSION or stored.get("digest") != digest:
            raise ValueError("not the analysis of this network by this version")
        parts = tuple(
            Part(tuple(part["nodes"]), tuple(part["operators"]), Norm(**part["norm"]))
            for part in stored["parts"]
        )
        pairs = torch.from_numpy(np.array(load(data)["pairs"]))
        found = LipschitzBound(parts, stored["features"], pairs, stored["scores"])
        steepest = Steepest(**stored["steepest"])
        rounding = Ledger.from_json(stored["ledger"])
        return cls(digest, tuple(stored["stripped"]), found, rounding, steepest, stored["seconds"])


def analyse(subject: Subject, indices: Sequence[int]) -> Analysis:
    """Prove the constants of a network, and look for inputs that contradict them.

    Args:
        subject: network and data.
        indices: items from which inputs are drawn; the first few are enough.

    Raises:
        UnsupportedOperators: names every node without a constant.
        InvalidSpec: the network has one score, or there is no item.
        UnsoundBound: a pair of inputs contradicts the constants.
    """
    if subject.classes < 2 or not len(indices):
        raise InvalidSpec("a Lipschitz certification needs at least two scores and one input")
    began = time.monotonic()
    network, stripped = scored(subject.network)
    found, rounding = bound(network), ledger(network)
    images = np.stack([subject.item(index) for index in indices[:_SEARCHED]])
    seen = steepest_pair(network, found.pairs, torch.from_numpy(images).double())
    digest = subject.network.digest()
    return Analysis(digest, stripped, found, rounding, seen, time.monotonic() - began)


def _part(part: Part) -> dict[str, Any]:
    tightness = part.norm.tightness
    return {
        "nodes": list(part.nodes),
        "operators": list(part.operators),
        "method": part.norm.method,
        "upper": part.norm.upper,
        "lower": part.norm.lower,
        "tightness": tightness if np.isfinite(tightness) else None,
    }


def _off_diagonal(pairs: Tensor) -> Tensor:
    return pairs[~torch.eye(len(pairs), dtype=torch.bool)]
