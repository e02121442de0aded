"""Numbers known up to a proven error, and the arithmetic that keeps the proof.

Only what IEEE 754 promises about ``+ - * /`` is used: one operation gives the exact result up to ``u`` times
the result it returns (u = 2^-53), plus TINY where it underflows. Each error below is a sum of a few such
terms, lifted by UP so that its own roundings cannot bring it under the bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.rounding import TINY, UNIT, UP


@dataclass(slots=True)
class Enclosed:
    """Exact numbers x, elementwise ``|x - value| <= error``.

    Attributes:
        value: float64.
        error: float64 of the same shape, or one number for all; infinite or NaN where nothing is known.
    """

    value: Tensor
    error: Tensor | float

    @classmethod
    def exact(cls, value: Tensor) -> Enclosed:
        """Numbers without an error."""
        return cls(value, 0.0)

    @classmethod
    def rounded(cls, value: Tensor, error: Tensor | float, roundings: int = 1) -> Enclosed:
        """A result with the error of its operands and ``roundings`` of its own, each relative to it."""
        return cls(value, (error + value.abs() * (2 * roundings * UNIT)) * UP + TINY)

    def __add__(self, other: Enclosed) -> Enclosed:
        return Enclosed.rounded(self.value + other.value, self.error + other.error)

    def __sub__(self, other: Enclosed) -> Enclosed:
        return Enclosed.rounded(self.value - other.value, self.error + other.error)

    def __neg__(self) -> Enclosed:
        return Enclosed(-self.value, self.error)

    def __mul__(self, other: Enclosed) -> Enclosed:
        """``ab - a'b' = (a - a') b' + a' (b - b') + (a - a')(b - b')``."""
        error = self.error * (other.value.abs() + other.error) + self.value.abs() * other.error
        return Enclosed.rounded(self.value * other.value, error)

    def __truediv__(self, other: Enclosed) -> Enclosed:
        """``a/b - q = ((a - a') - q (b - b') + (a' - q b')) / b``; ``a' - q b'`` is the rounding of q."""
        value = self.value / other.value
        low = other.value.abs() * (1 - 2 * UNIT) - other.error * UP
        error = (self.error + value.abs() * other.error) / low * UP
        return Enclosed.rounded(value, torch.where(low > 0, error, torch.inf), 2)

    def scaled(self, factor: float, roundings: int = 0) -> Enclosed:
        """Times a number, which is ``factor`` up to ``roundings`` roundings."""
        return Enclosed.rounded(self.value * factor, self.error * abs(factor) * UP, 1 + roundings)

    def shifted(self, term: float) -> Enclosed:
        """Plus a number that is a float."""
        return Enclosed.rounded(self.value + term, self.error)

    def high(self) -> Tensor:
        """Return an upper bound of the exact numbers."""
        return self.value + self.error + self._slack()

    def low(self) -> Tensor:
        """Return a lower bound of the exact numbers."""
        return self.value - self.error - self._slack()

    def errors(self) -> Tensor:
        """Return the error of each number."""
        error = self.error
        return error if isinstance(error, Tensor) else torch.full_like(self.value, error)

    def _slack(self) -> Tensor:
        return (self.value.abs() + self.error) * (4 * UNIT) + TINY

    def where(self, mask: Tensor, other: Enclosed) -> Enclosed:
        """Return these numbers where ``mask``, else those of ``other``."""
        error = torch.where(mask, self.errors(), other.errors())
        return Enclosed(torch.where(mask, self.value, other.value), error)

    def unknown(self, mask: Tensor) -> Enclosed:
        """Forget what is known where ``mask``."""
        return Enclosed(self.value, torch.where(mask, torch.inf, self.errors()))


def horner(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """Return ``c_0 + c_1 x + c_2 x^2 + ...`` in float64.

    With n coefficients, each rounded once, the result is off by at most ``1.02 (2 n - 1) u`` times
    ``|c_0| + |c_1 x| + ...`` (Higham, Accuracy and Stability of Numerical Algorithms, section 5.1).
    """
    result = x * coefficients[-1]
    for coefficient in coefficients[-2:0:-1]:
        result.add_(coefficient).mul_(x)
    return result.add_(coefficients[0])
