"""Ranges of explicit mutations: what the images that a generator learns from are varied by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glocert.spec import MUTATION_UNITS, NEUTRAL

ONE_SIDED = frozenset({"fog", "haze", "blur"})
"""Their parameter is not negative."""
EXPLICIT = (
    "brightness", "contrast", "noise", "fog", "haze", "blur", "rotation", "scaling", "shear", "translation",
)  # fmt: skip
"""Mutations with a formula and one parameter per image, in the order in which they are applied."""
_MOST: Mapping[str, float] = {
    "rotation": 360.0, "shear": 4.0, "scaling": 10.0, "contrast": 10.0, "fog": 1.0, "haze": 1.0, "blur": 16.0,
    "translation": 1024.0, "brightness": math.inf, "noise": math.inf,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ranges:
    """Mutation -> from, to, in the mutation's unit. A translation moves along both axes by such distances.

    Attributes:
        ends: of each mutation.
        endpoints: whether only both ends and the unchanged image are drawn: what lies between them is left to
            continuity.
    """

    ends: Mapping[str, tuple[float, float]]
    endpoints: bool = False

    def check(self) -> None:
        """Refuse ranges that no image can be varied by.

        Raises:
            ValueError: an unknown mutation, or ends out of order or out of range.
        """
        for name, (start, stop) in self.ends.items():
            if name not in EXPLICIT:
                raise ValueError(f"augment knows no {name!r}; there are {', '.join(EXPLICIT)}")
            if not -math.inf < start <= stop < math.inf:
                raise ValueError(f"augment.{name} goes from {start} to {stop}")
            least = 0.1 if name in NEUTRAL else 0.0 if name in ONE_SIDED else -_MOST[name]
            if start < least or stop > _MOST[name]:
                raise ValueError(f"augment.{name} lies outside [{least:g}, {_MOST[name]:g}]")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
        """Read ranges: two ends, or one number r.

        That is [0, r] for fog, haze and blur, [1 - r, 1 + r] for contrast and scaling, else [-r, r].

        Raises:
            ValueError: neither, or a negative r.
        """
        return {str(name): _ends(str(name), value) for name, value in data.items()}

    def extents(self) -> dict[str, dict[str, Any]]:
        """Return the largest mutations that were learned, as a card shows them."""
        return {
            name: {"from": start, "to": stop, "unit": MUTATION_UNITS[name]}
            for name, (start, stop) in self.ends.items()
        }


def _ends(name: str, value: Any) -> tuple[float, float]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value < 0:
            raise ValueError(f"augment.{name} is negative; give [from, to] for a range on one side")
        if name in ONE_SIDED:
            return 0.0, float(value)
        middle = NEUTRAL.get(name, 0.0)
        return middle - float(value), middle + float(value)
    try:
        start, stop = value
        return float(start), float(stop)
    except (TypeError, ValueError):
        raise ValueError(f"augment.{name} is a number or [from, to], not {value!r}") from None
