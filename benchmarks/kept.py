"""Results that several sessions add to: what was measured before stays, and a stop loses one row at most."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]
_LOAD = re.compile(r"load ([0-9.]+)")


def rows(file: Path) -> list[Row]:
    """Return the rows of a file of results, each with what the file says of all; none without the file."""
    if not file.exists():
        return []
    found = json.loads(file.read_text())
    return [
        {**{name: value for name, value in found.items() if name != "rows"}, **row} for row in found["rows"]
    ]


def merged(before: Iterable[Row], now: Iterable[Row], key: Sequence[str], order: Sequence[Any]) -> list[Row]:
    """Return the rows of both; where two have the same ``key``, the one of ``now``.

    Args:
        before: rows of earlier sessions.
        now: rows of this one.
        key: names of the columns by which rows are known.
        order: values of the first of them, in the order of the page; others come last.
    """
    found = {tuple(row[name] for name in key): row for row in (*before, *now)}
    places = {value: place for place, value in enumerate(order)}
    return sorted(found.values(), key=lambda row: places.get(row[key[0]], len(places)))


def write(file: Path, found: Mapping[str, Any]) -> None:
    """Write a file of results in one step: a stop leaves the old one or the new one."""
    part = file.with_suffix(".part")
    part.write_text(json.dumps(found, indent=1) + "\n")
    part.replace(file)


def machines(found: Mapping[str, Any]) -> str:
    """Return the machines of all rows, each once with the loads that it had; or that of the file."""
    named: dict[str, list[float]] = {}
    for row in found["rows"]:
        machine = row.get("machine", found.get("machine", ""))
        load = _LOAD.search(machine)
        named.setdefault(_LOAD.sub("load {}", machine), []).append(float(load[1]) if load else 0.0)
    return "; ".join(
        name.format(f"{min(loads)}" if min(loads) == max(loads) else f"{min(loads)} to {max(loads)}")
        for name, loads in named.items()
    )


class Watch:
    """Says when a session has run for as long as it may.

    Args:
        seconds: from now on; None: for ever.
    """

    def __init__(self, seconds: float | None) -> None:
        """Start."""
        self._stop = None if seconds is None else time.monotonic() + seconds

    @property
    def over(self) -> bool:
        """Whether nothing new should begin."""
        return self._stop is not None and time.monotonic() >= self._stop
