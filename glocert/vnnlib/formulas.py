"""Formulas of linear inequalities as an OR of ANDs."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise, product

from glocert.errors import InvalidSpec
from glocert.vnnlib.expressions import Expression, List, Source
from glocert.vnnlib.linear import Term, Terms

MOST = 2**20
"""Inequalities in all ANDs of one formula together."""

_SIGNS = {"<=": (1, False), "<": (1, True), ">=": (-1, False), ">": (-1, True)}


@dataclass(frozen=True, slots=True)
class Literal:
    """``term <= 0``, or ``term < 0`` where ``strict``.

    Attributes:
        term: its left-hand side.
        strict: whether equality is outside.
    """

    term: Term
    strict: bool

    def negated(self) -> Literal:
        """Return the opposite."""
        return Literal(self.term.times(Fraction(-1)), not self.strict)


Conjunction = tuple[Literal, ...]
Disjunction = list[Conjunction]


@dataclass(frozen=True, slots=True)
class Formulas:
    """Reads formulas.

    Attributes:
        source: for errors.
        terms: reads what is compared.
    """

    source: Source
    terms: Terms

    def read(self, expression: Expression, positive: bool = True) -> Disjunction:
        """Return the formula, or its negation, as an OR of ANDs; as deep as the expression.

        Raises:
            InvalidSpec: the expression is no formula, or its normal form is too large.
        """
        if not isinstance(expression, List):
            raise self.source.refused(expression.offset, "a formula was expected here")
        head, items = expression.head, expression.items[1:]
        if head == "not" and len(items) == 1:
            return self.read(items[0], not positive)
        if head in ("and", "or") and items:
            parts = [self.read(item, positive) for item in items]
            return both(parts) if (head == "and") == positive else either(parts)
        if head in (*_SIGNS, "=") and len(items) > 1:
            return self._chain(expression, positive)
        raise self.source.refused(
            expression.offset, "a formula starts with one of and or not <= >= < > = and has arguments"
        )

    def _chain(self, expression: List, positive: bool) -> Disjunction:
        """Return ``a <= b <= c`` as comparisons of neighbours."""
        sides = [self.terms.read(item) for item in expression.items[1:]]
        parts: list[Disjunction] = []
        for left, right in pairwise(sides):
            difference = self._difference(expression, left, right)
            heads = ("<=", ">=") if expression.head == "=" else (expression.head,)
            parts += [[(_literal(difference, head, positive),)] for head in heads]
        return both(parts) if positive else either(parts)

    def _difference(self, expression: List, left: Term, right: Term) -> Term:
        try:
            return left.minus(right)
        except OverflowError:
            raise self.source.refused(expression.offset, "a number has too many digits") from None


def _literal(difference: Term, head: str, positive: bool) -> Literal:
    sign, strict = _SIGNS[head]
    literal = Literal(difference.times(Fraction(sign)), strict)
    return literal if positive else literal.negated()


def either(parts: list[Disjunction]) -> Disjunction:
    """Return the OR of formulas."""
    found = [conjunction for part in parts for conjunction in part]
    _check(sum(map(len, found)), len(found))
    return found


def both(parts: list[Disjunction]) -> Disjunction:
    """Return the AND of formulas: every combination; what has no choice is put together first."""
    fixed = [literal for part in parts if len(part) == 1 for literal in part[0]]
    choices = [part for part in parts if len(part) != 1]
    count = 1
    for part in choices:
        count *= len(part)
        _check(count, count)
    size = count * (len(fixed) + sum(max(map(len, part), default=0) for part in choices))
    _check(size, count)
    return [
        (*fixed, *(literal for conjunction in chosen for literal in conjunction))
        for chosen in product(*choices)
    ]


def _check(literals: int, conjunctions: int) -> None:
    if max(literals, conjunctions) > MOST:
        raise InvalidSpec(f"as an OR of ANDs, a formula has more than {MOST} inequalities")
