"""Linear terms over X_i and Y_j with exact rational coefficients."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from glocert.vnnlib.expressions import Atom, Expression, List, Source, shown

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_DIGITS = 400
_BITS = 2**14
_VARIABLE = re.compile(r"[XY]_(0|[1-9]\d{0,6})")


@dataclass(frozen=True, slots=True)
class Term:
    """``sum factors[v] v + constant``.

    Attributes:
        factors: name of a variable -> coefficient, none of them zero.
        constant: the rest.
    """

    factors: Mapping[str, Fraction]
    constant: Fraction

    def minus(self, other: Term) -> Term:
        """Return the difference."""
        return total([self, other.times(Fraction(-1))])

    def times(self, number: Fraction) -> Term:
        """Return a multiple."""
        if not number:
            return Term({}, Fraction(0))
        factors = {name: _short(factor * number) for name, factor in self.factors.items()}
        return Term(factors, _short(self.constant * number))


@dataclass(frozen=True, slots=True)
class Terms:
    """Reads terms.

    Attributes:
        source: for errors.
        declared: names of variables.
    """

    source: Source
    declared: Mapping[str, int]

    def read(self, expression: Expression) -> Term:
        """Return the term that an expression means; as deep as the expression, which has a limit.

        Raises:
            InvalidSpec: it is not linear, or names what was not declared.
        """
        if isinstance(expression, Atom):
            return self._word(expression)
        parts = [self.read(item) for item in expression.items[1:]]
        if not parts:
            raise self.source.refused(expression.offset, "this is no term")
        try:
            return self._applied(expression, parts)
        except OverflowError:
            raise self.source.refused(expression.offset, "a number has too many digits") from None

    def _applied(self, expression: List, parts: list[Term]) -> Term:
        if expression.head == "+":
            return total(parts)
        if expression.head == "-":
            negated = [part.times(Fraction(-1)) for part in parts]
            return negated[0] if len(parts) == 1 else total([parts[0], *negated[1:]])
        if expression.head == "*":
            return self._product(expression, parts)
        if expression.head == "/":
            return self._quotient(expression, parts)
        raise self.source.refused(expression.offset, "a term starts with one of + - * /")

    def _word(self, atom: Atom) -> Term:
        if atom.text in self.declared:
            return Term({atom.text: Fraction(1)}, Fraction(0))
        if _NUMBER.fullmatch(atom.text) and len(atom.text) <= _DIGITS:
            return Term({}, Fraction(atom.text))
        what = "is not declared" if is_variable(atom.text) else "is neither a number nor a variable"
        raise self.source.refused(atom.offset, f"{shown(atom.text)} {what}")

    def _product(self, expression: List, parts: list[Term]) -> Term:
        result = parts[0]
        for part in parts[1:]:
            if result.factors and part.factors:
                raise self.source.refused(expression.offset, "a product of variables is not linear")
            result = result.times(part.constant) if not part.factors else part.times(result.constant)
        return result

    def _quotient(self, expression: List, parts: list[Term]) -> Term:
        result = parts[0]
        for part in parts[1:]:
            if part.factors or not part.constant:
                raise self.source.refused(expression.offset, "a term is divided by numbers but zero only")
            result = result.times(1 / part.constant)
        return result


def is_variable(name: str) -> bool:
    """Whether a name is that of an input or an output."""
    return _VARIABLE.fullmatch(name) is not None


def total(terms: Iterable[Term]) -> Term:
    """Return the sum.

    Raises:
        OverflowError: a number gets too many digits.
    """
    factors: dict[str, Fraction] = {}
    constant = Fraction(0)
    for term in terms:
        constant = _short(constant + term.constant)
        for name, factor in term.factors.items():
            factors[name] = _short(factors.get(name, Fraction(0)) + factor)
    return Term({name: factor for name, factor in factors.items() if factor}, constant)


def _short(number: Fraction) -> Fraction:
    """Return a number unless products and sums have made it so long that it was meant to be."""
    if max(number.numerator.bit_length(), number.denominator.bit_length()) > _BITS:
        raise OverflowError
    return number
