"""How likely every value of a mutation's parameter is, as data in the mutation's own unit. No torch here.

A law weighs the part of a path on which a property holds; the verdict about the whole path does not depend on
it. ``faults`` says what is wrong with a law for a path; everything that it lets pass can be bounded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

DEVIATIONS = 8
"""How many standard deviations the mean of a truncated normal law may lie beyond the end of the path."""
WIDEST = 10**6
"""How many lengths of the path a standard deviation may be; such a law is uniform to many digits."""
MOST_SHAPE = 100
"""Largest parameter of a beta law."""
MOST_POINTS = 1000
"""Most values of a discrete law."""

LAWS = ("uniform", "truncated-normal", "beta", "triangular", "points")
"""Types of laws."""

Fault = tuple[str, str]
"""Member of the law that is at fault, as a JSON pointer below it, and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class UniformLaw:
    """Every value of the path is as likely as every other."""

    def to_json(self) -> dict[str, Any]:
        """Return the form that the API takes and shows."""
        return {"type": "uniform"}


@dataclass(frozen=True, slots=True)
class TruncatedNormalLaw:
    """The normal law, given that the value lies on the path.

    Attributes:
        mean: of the normal law, in the mutation's unit; it may lie beyond the path.
        std: its standard deviation, > 0, in the same unit.
    """

    mean: float
    std: float

    def to_json(self) -> dict[str, Any]:
        """Return the form that the API takes and shows."""
        return {"type": "truncated-normal", "mean": self.mean, "std": self.std}


@dataclass(frozen=True, slots=True)
class BetaLaw:
    """The beta law of the share of the path that lies before the value: a density like t^(a-1) (1-t)^(b-1).

    Attributes:
        a: whole number >= 1; a large one makes the end of the path likely.
        b: whole number >= 1; a large one makes its start likely.
    """

    a: int
    b: int

    def to_json(self) -> dict[str, Any]:
        """Return the form that the API takes and shows."""
        return {"type": "beta", "a": self.a, "b": self.b}


@dataclass(frozen=True, slots=True)
class TriangularLaw:
    """A density that rises straight from zero at one end of the path to the mode, then falls to zero.

    Attributes:
        mode: likeliest value, on the path, in the mutation's unit.
    """

    mode: float

    def to_json(self) -> dict[str, Any]:
        """Return the form that the API takes and shows."""
        return {"type": "triangular", "mode": self.mode}


@dataclass(frozen=True, slots=True)
class PointsLaw:
    """Only some values are possible.

    Attributes:
        points: (value in the mutation's unit, on the path; weight > 0). Weights are relative.
    """

    points: tuple[tuple[float, float], ...]

    def to_json(self) -> dict[str, Any]:
        """Return the form that the API takes and shows."""
        return {
            "type": "points",
            "points": [{"value": value, "weight": weight} for value, weight in self.points],
        }


LawSpec = UniformLaw | TruncatedNormalLaw | BetaLaw | TriangularLaw | PointsLaw


def law_from_json(data: Mapping[str, Any] | None) -> LawSpec:
    """Read the form that the API stores; jobs made before there was a choice say nothing."""
    match data:
        case None | {"type": "uniform"}:
            return UniformLaw()
        case {"type": "truncated-normal", "mean": mean, "std": std}:
            return TruncatedNormalLaw(float(mean), float(std))
        case {"type": "beta", "a": a, "b": b}:
            return BetaLaw(int(a), int(b))
        case {"type": "triangular", "mode": mode}:
            return TriangularLaw(float(mode))
        case {"type": "points", "points": points}:
            pairs = ((one["value"], one["weight"]) for one in points)
            return PointsLaw(tuple((float(value), float(weight)) for value, weight in pairs))
        case other:
            raise ValueError(f"no law {other!r}")


def faults(law: LawSpec, start: float, stop: float) -> list[Fault]:
    """Say what is wrong with a law for a path.

    Args:
        law: in the mutation's unit.
        start: the parameter at the start of the path.
        stop: the parameter at its end.
    """
    if isinstance(law, UniformLaw):
        return []
    if start == stop:
        return [("", "The path has one value only: no law of it is needed.")]
    match law:
        case TruncatedNormalLaw():
            return _normal(law, Fraction(start), Fraction(stop))
        case BetaLaw():
            shapes = (("/a", law.a), ("/b", law.b))
            wrong = f"It must be a whole number from 1 to {MOST_SHAPE}."
            return [(name, wrong) for name, value in shapes if not 1 <= value <= MOST_SHAPE]
        case TriangularLaw():
            return _outside("/mode", law.mode, start, stop)
        case PointsLaw():
            return _points(law, start, stop)


def _normal(law: TruncatedNormalLaw, start: Fraction, stop: Fraction) -> list[Fault]:
    if not math.isfinite(law.mean):
        return [("/mean", "It must be finite.")]
    if not (math.isfinite(law.std) and law.std > 0):
        return [("/std", "It must be finite and greater than 0.")]
    mean, std = Fraction(law.mean), Fraction(law.std)
    beyond = max(min(start, stop) - mean, mean - max(start, stop))
    if beyond > DEVIATIONS * std:
        detail = f"It lies more than {DEVIATIONS} standard deviations beyond the path."
        return [("/mean", detail)]
    if std > WIDEST * abs(stop - start):
        return [("/std", f"It is more than {WIDEST} times the length of the path: ask for uniform.")]
    return []


def _points(law: PointsLaw, start: float, stop: float) -> list[Fault]:
    if not 1 <= len(law.points) <= MOST_POINTS:
        return [("/points", f"There must be 1 to {MOST_POINTS} values.")]
    found: list[Fault] = []
    for place, (value, weight) in enumerate(law.points):
        found += _outside(f"/points/{place}/value", value, start, stop)
        if not (math.isfinite(weight) and weight > 0):
            found.append((f"/points/{place}/weight", "It must be finite and greater than 0."))
    return found


def _outside(name: str, value: float, start: float, stop: float) -> list[Fault]:
    if min(start, stop) <= value <= max(start, stop):
        return []
    return [(name, f"It is not on the path, which runs from {start:g} to {stop:g}.")]
