"""What is known about the norm of one linear operator."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Norm:
    """The l2 operator norm of a linear map, enclosed.

    Attributes:
        upper: proven upper bound, rounding included; infinite where there is none.
        lower: estimate from below, for reporting how tight ``upper`` is; never part of a proof.
        method: how ``upper`` was found.
    """

    upper: float
    lower: float
    method: str

    @property
    def tightness(self) -> float:
        """``upper / lower``, at least about one; infinite where nothing is known."""
        if self.upper == 0.0:
            return 1.0
        return self.upper / self.lower if self.lower > 0 else float("inf")


def best(candidates: list[Norm]) -> Norm:
    """Return the smallest upper bound with the largest estimate from below."""
    chosen = min(candidates, key=lambda norm: norm.upper)
    return Norm(chosen.upper, max(norm.lower for norm in candidates), chosen.method)
