"""Square roots, reciprocals and powers with a constant exponent.

IEEE 754 rounds ``sqrt`` and ``/`` correctly: one u each (two are charged). Where a denormal number might have
been flushed to zero, the root is still between 0 and the root of the smallest normal number, and the
reciprocal is not known.

Powers: ``x^n`` for a whole n is a product of at most 2 log2 n factors of which each has the relative error of
the ones it is made of; Enclosed's product proves it. Halves multiply with a root. Any other exponent p is
``exp(p log x)`` with the error of ``p log x`` carried through exp.
"""

from __future__ import annotations

import torch
from torch import Tensor

from glocert.elementary.enclosed import Enclosed
from glocert.elementary.exponential import exp_of
from glocert.elementary.logarithm import log
from glocert.rounding import TINY, UNIT, UP

_NORMAL = 2.0**-1000
_WHOLE = 64
"""Largest exponent that is done by products."""


def sqrt(x: Tensor) -> Enclosed:
    """``sqrt(x)``, infinite error where x < 0."""
    value = torch.sqrt(x)
    error = value * (2 * UNIT * UP) + TINY
    error = torch.where((x >= 0) & (x < _NORMAL), 2.0**-499, error)
    return Enclosed(value, error).unknown(~(value < torch.inf))


def reciprocal(x: Tensor) -> Enclosed:
    """``1 / x``, infinite error near and at zero."""
    value = 1 / x
    error = value.abs() * (2 * UNIT * UP) + TINY
    return Enclosed(value, error).unknown(~(x.abs() >= _NORMAL) | torch.isinf(x))


def power(x: Tensor, exponent: float) -> Enclosed:
    """``x ** exponent``; infinite or NaN error where that is not a finite real number.

    A negative x needs a whole exponent; ``0 ** 0`` is one.
    """
    if abs(2 * exponent) % 1 == 0 and abs(exponent) <= _WHOLE:
        result = _half_power(x, int(2 * abs(exponent)))
        return result if exponent >= 0 else _inverse(result)
    return _general(x, exponent)


def _half_power(x: Tensor, twice: int) -> Enclosed:
    """``x ** (twice / 2)`` by repeated squaring."""
    result = sqrt(x) if twice % 2 else None
    square, left = Enclosed.exact(x), twice // 2
    while left:
        if left % 2:
            result = square if result is None else result * square
        left //= 2
        square = square * square if left else square
    if result is None:
        return Enclosed(torch.ones_like(x), torch.zeros_like(x))
    return result


def _inverse(x: Enclosed) -> Enclosed:
    return (Enclosed.exact(torch.ones_like(x.value)) / x).unknown(~(x.value.abs() >= _NORMAL))


def _general(x: Tensor, exponent: float) -> Enclosed:
    result = exp_of(log(x).scaled(exponent))
    if exponent < 0:
        return result
    # x^p grows with x, so a number that log does not reach has a power between 0 and that of a larger one.
    near = (x >= 0) & (x < _NORMAL)
    ceiling = exp_of(log(torch.full_like(x, _NORMAL)).scaled(exponent)).high()
    return Enclosed(torch.zeros_like(x), ceiling).where(near, result)
