"""What is proven of an input before its answer is there, so that an interruption does not lose it.

What is kept holds for one question only: this network, path, label, margin and arithmetic, and this release.
Every entry therefore carries the digest of all of them, and whoever asks anything else begins anew.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from glocert import __version__
from glocert.certification.question import Question
from glocert.graph.ir import Graph
from glocert.paths.items import Float32
from glocert.paths.path import Path
from glocert.spec import SegmentSpec

State = Mapping[str, Any]
"""plain data, for JSON"""
LOOKED_AT = (0.0, 0.5, 1.0)
"""where a path's images enter its digest"""


@dataclass(frozen=True, slots=True)
class Journal:
    """What was known of some inputs, and where what becomes known goes.

    Attributes:
        known: what ``tell`` got about an index before; each is used where the question is the same.
        tell: gets an index and what is proven of it by now; ``None`` where nobody listens.
        every_s: seconds between two messages about one input; the first comes no earlier either.
        clock: monotonic seconds; replaced in tests.
    """

    known: Mapping[int, State] = field(default_factory=dict)
    tell: Callable[[int, State], None] | None = None
    every_s: float = 5.0
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    def entry(self, index: int, digest: Callable[[], str]) -> Entry:
        """Begin with an input.

        Args:
            index: of the input.
            digest: of everything that its answer depends on; called only when it is needed, as it takes time.
        """
        return Entry(self, index, digest, self.clock() + self.every_s)


@dataclass(slots=True)
class Entry:
    """What becomes known of one input.

    Attributes:
        journal: it belongs to.
        index: of the input.
        digest: of the question, see ``Journal.entry``.
        due: when something may be told next.
    """

    journal: Journal
    index: int
    digest: Callable[[], str]
    due: float

    def before(self) -> State:
        """Return what was proven of this very question before, nothing where it was another one."""
        kept = self.journal.known.get(self.index)
        if kept is None or kept.get("question") != self.digest():
            return {}
        return dict(kept["proven"])

    def note(self, state: Callable[[], State]) -> None:
        """Tell what is proven, unless that was done a moment ago."""
        if self.journal.tell is None or self.journal.clock() < self.due:
            return
        entry = {"question": self.digest(), "proven": state()}
        if _lasting(entry):
            self.journal.tell(self.index, entry)
        self.due = self.journal.clock() + self.journal.every_s


def digest(network: Graph, question: Question, path: Path, spec: SegmentSpec, item: Float32) -> str:
    """Return the sha256 of everything that an answer depends on, in hex.

    Args:
        network: whose class must win, preprocessing included.
        question: class and margin.
        path: its images at three places stand for whatever else it is made of, such as its other end.
        spec: the whole request, its arithmetic included.
        item: at which the path begins.
    """
    asked = {
        "release": __version__,
        "network": network.digest(),
        "label": question.label,
        "margin": question.margin.hex(),
        "request": spec.to_json(),
        "shape": list(item.shape),
    }
    found = hashlib.sha256(json.dumps(asked, sort_keys=True).encode())
    found.update(item.tobytes())
    for t in LOOKED_AT:
        found.update(path.at([t] * path.dimensions).tobytes())
    return found.hexdigest()


def _lasting(entry: State) -> bool:
    """Whether JSON can say all of it: a number that is not finite would come back as something else."""
    try:
        json.dumps(entry, allow_nan=False)
    except ValueError:
        return False
    return True
