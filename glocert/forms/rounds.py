"""Looking at rows of many searches at once: one batch through the network, whoever asked for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from glocert.forms.backward import Reversal, Tape
from glocert.forms.decision import decide
from glocert.forms.form import Form
from glocert.forms.margins import margins
from glocert.forms.path import Parts, forms
from glocert.forms.search import Row, Search
from glocert.forms.tightening import tightened

_ROWS = 128

Wish = tuple[Search, list[Row]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How rows are bounded.

    Attributes:
        double: the network in float64.
        single: the network in float32, where rows may ask for it.
        memory: bytes that one batch may take.
        few: undecided rows of a batch that are not worth a backward pass, since they are followed anyway.
    """

    double: Reversal
    single: Reversal | None
    memory: int
    few: int = 0

    @property
    def device(self) -> torch.device:
        """Where it is computed."""
        return self.double.program.device

    def of(self, single: bool) -> Reversal:
        """Return the network of a precision."""
        return self.single if single and self.single is not None else self.double

    def rows(self, searches: int) -> int:
        """Return how many rows each of so many searches may look at in a round."""
        return max(1, min(_ROWS, self.double.rows(self.memory) // searches))


def run(bounds: Bounds, search: Search, enough: Callable[[], bool]) -> None:
    """Go on with one search until ``enough`` or nothing is left."""
    while search.unsettled and not enough():
        look(bounds, [(search, search.take(bounds.rows(1)))])


def look(bounds: Bounds, wishes: Sequence[Wish]) -> None:
    """Evaluate rows and tell each search what is proven of its own."""
    for single in (True, False):
        chosen = [(search, [row for row in rows if row.single == single]) for search, rows in wishes]
        wanted = [(search, rows) for search, rows in chosen if rows]
        reversal = bounds.of(single)
        for batch in _batches(wanted, reversal.rows(bounds.memory)):
            _evaluate(reversal, batch, bounds.few)


def _evaluate(reversal: Reversal, batch: Sequence[Wish], few: int) -> None:
    """Bound the margins of a batch forwards, and of what stays undecided backwards."""
    counts = [len(rows) for _, rows in batch]
    labels = np.repeat([search.label for search, _ in batch], counts)
    required = np.repeat([search.margin for search, _ in batch], counts)
    tape, parts = _record(reversal, batch)
    known = margins(tape.scores, parts, labels, required)
    found = decide(known)
    left = {row for start, stop, row in found.rest if start < stop}
    blurred = reversal.program.dtype == torch.float32 and any(a == b for a, b, _ in found.rest)
    if len(left) > few or blurred:
        expected = np.concatenate([search.expected(rows) for search, rows in batch])
        again, better = tightened(reversal, tape, known, found, (labels, required), expected)
        known, found = known.replaced(again, better), found.replaced(again, decide(better))
    first = 0
    for search, rows in batch:
        last = first + len(rows)
        search.learn(rows, known.rows(range(first, last)), found.rows(first, last))
        first = last


def _batches(wishes: Sequence[Wish], most: int) -> Iterable[list[Wish]]:
    """Cut the wishes into batches of at most ``most`` rows."""
    batch: list[Wish] = []
    room = most
    for search, rows in wishes:
        while rows:
            batch.append((search, rows[:room]))
            rows, room = rows[room:], room - len(batch[-1][1])
            if room == 0:
                yield batch
                batch, room = [], most
    if batch:
        yield batch


def _record(reversal: Reversal, batch: Sequence[Wish]) -> tuple[Tape, Parts]:
    """Take the rows of a batch through the network together."""
    device = reversal.program.device
    parts = [
        Parts.between(np.array([row.start for row in rows]), np.array([row.stop for row in rows]))
        for _, rows in batch
    ]
    found = [forms(search.path, part, device) for (search, _), part in zip(batch, parts, strict=True)]
    lines = torch.cat([form.lines() for form in found], 1) if len(found) > 1 else found[0].lines()
    error = torch.cat([form.error for form in found]) if len(found) > 1 else found[0].error
    return reversal.record(Form.of(lines, error)), Parts.joined(parts)
