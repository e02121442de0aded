"""Sums of products in index notation, as transpositions, reshapes and matrix products."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from glocert.graph.lowering import matmul, multiply
from glocert.graph.lowering_reduce import reduce_sum
from glocert.graph.lowering_select import full
from glocert.graph.lowering_shape import ALONE, MIXES, reshape, transpose
from glocert.graph.shapes import ShapeError
from glocert.graph.values import Activation, Constant, Emitter, Unsupported, Value

_PLAIN = "Write it as MatMul, Transpose and Reshape."
_SPARE = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Term:
    """One operand with a letter for each of its per-sample axes."""

    value: Value
    letters: str

    @property
    def sizes(self) -> Mapping[str, int]:
        """Length of the axis behind each letter."""
        shape = self.value.array.shape if isinstance(self.value, Constant) else self.value.shape
        return dict(zip(self.letters, shape, strict=True))


def parse(equation: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """Return the letters of every operand and of the result; dots become letters of their own.

    Args:
        equation: e.g. ``bij,jk->bik``; without an arrow the result has the letters that occur once, sorted.
        ranks: of the operands.

    Raises:
        Unsupported: it is no such equation, or does not fit the operands.
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    inputs = left.split(",")
    if len(inputs) != len(ranks) or not left.replace(",", "").replace(".", "").isalpha():
        raise Unsupported(f"its equation {equation!r} does not fit its inputs")
    spare = [letter for letter in _SPARE if letter not in equation]
    depths = [rank - len(term.replace("...", "")) for term, rank in zip(inputs, ranks, strict=True)]
    most = max((depth for term, depth in zip(inputs, depths, strict=True) if "..." in term), default=0)
    if min(depths) < 0 or most > len(spare):
        raise Unsupported(f"its equation {equation!r} does not fit its inputs")
    dots = "".join(spare[:most])
    terms = [term.replace("...", dots[most - depth :]) for term, depth in zip(inputs, depths, strict=True)]
    if [len(term) for term in terms] != list(ranks):
        raise Unsupported(f"its equation {equation!r} does not fit its inputs")
    joined = "".join(terms)
    once = dots + "".join(sorted(letter for letter in set(joined) - set(dots) if joined.count(letter) == 1))
    result = right.replace("...", dots) if arrow else once
    if len(set(result)) != len(result) or not set(result) <= set(joined):
        raise Unsupported(f"its equation {equation!r} has no meaning")
    return terms, result


def einsum(emitter: Emitter, equation: str, values: Sequence[Value]) -> Activation:
    """Emit an Einsum of one or two operands, at least one of which varies.

    Raises:
        Unsupported: more operands, a diagonal, or a sum over samples.
        ShapeError: axes of one letter have different lengths.
    """
    ranks = [
        value.array.ndim if isinstance(value, Constant) else len(value.shape) + emitter.offset
        for value in values
    ]
    letters, result = parse(equation, ranks)
    if len(values) > 2 or any(len(set(term)) != len(term) for term in letters):
        raise Unsupported("it is supported for one or two operands without diagonals", _PLAIN)
    batch = _batch(emitter, values, letters, result)
    terms = [Term(value, term.removeprefix(batch)) for value, term in zip(values, letters, strict=True)]
    result = result.removeprefix(batch)
    _check_lengths(terms)
    if len(terms) == 1:
        return _ordered(emitter, _kept(emitter, terms[0], result), result)
    first, second = sorted(terms, key=lambda term: isinstance(term.value, Constant))
    first = _kept(emitter, first, result + second.letters)
    second = _kept(emitter, second, result + first.letters)
    return _ordered(emitter, _product(emitter, first, second, result), result)


def _batch(emitter: Emitter, values: Sequence[Value], letters: Sequence[str], result: str) -> str:
    """Return the letter of the batch axis, or nothing where there is none."""
    if not emitter.batch.present:
        return ""
    varying = {term[:1] for value, term in zip(values, letters, strict=True) if isinstance(value, Activation)}
    batch = varying.pop()
    constants = "".join(t for v, t in zip(values, letters, strict=True) if isinstance(v, Constant))
    if varying or not batch or result[:1] != batch or batch in constants:
        raise Unsupported(MIXES, ALONE)
    return batch


def _check_lengths(terms: Sequence[Term]) -> None:
    sizes: dict[str, int] = {}
    for term in terms:
        for letter, size in term.sizes.items():
            if sizes.setdefault(letter, size) != size:
                raise ShapeError(f"axes {letter!r} have the lengths {sizes[letter]} and {size}")


def _kept(emitter: Emitter, term: Term, letters: str) -> Term:
    """Sum over the axes that nothing else mentions."""
    gone = [axis for axis, letter in enumerate(term.letters) if letter not in letters]
    if not gone:
        return term
    rest = "".join(letter for letter in term.letters if letter in letters)
    if isinstance(term.value, Constant):
        raise Unsupported("it sums over an axis of a constant alone", _PLAIN)
    axes = [axis + emitter.offset for axis in gone]
    return Term(reduce_sum(emitter, term.value, axes, keepdims=False), rest)


def _product(emitter: Emitter, first: Term, second: Term, result: str) -> Term:
    """Multiply, and sum over the letters that both have and the result has not."""
    shared = [letter for letter in first.letters if letter in second.letters and letter in result]
    summed = [letter for letter in first.letters if letter in second.letters and letter not in result]
    left = [letter for letter in first.letters if letter not in second.letters]
    right = [letter for letter in second.letters if letter not in first.letters]
    sizes = {**first.sizes, **second.sizes}
    letters = "".join((*shared, *left, *right))
    if summed and not (shared and isinstance(second.value, Constant)):
        a = _grouped(emitter, first, (shared, left, summed), sizes)
        b = _grouped(emitter, second, (shared, summed, right), sizes)
        product = matmul(emitter, a, b)
    else:
        last = [summed] if summed else []
        a = _grouped(emitter, first, (shared, left, [], *last), sizes)
        b = _grouped(emitter, second, (shared, [], right, *last), sizes)
        product = multiply(emitter, a, b)
        product = reduce_sum(emitter, product, [-1], keepdims=False) if summed else product
    shape = [sizes[letter] for letter in letters]
    return Term(reshape(emitter, product, full(emitter, shape)), letters)


def _grouped(
    emitter: Emitter, term: Term, groups: Sequence[Sequence[str]], sizes: Mapping[str, int]
) -> Value:
    """Bring the axes into the order of ``groups`` and make each one axis; an empty first one is dropped."""
    order = [term.letters.index(letter) for group in groups for letter in group]
    shape = [math.prod(sizes[letter] for letter in group) for group in groups]
    if not groups[0]:
        shape = shape[1:]
    if isinstance(term.value, Constant):
        moved = np.ascontiguousarray(term.value.array.transpose(order)).reshape(shape)
        return Constant(moved, term.value.name)
    perm = [*range(emitter.offset), *(axis + emitter.offset for axis in order)]
    return reshape(emitter, transpose(emitter, term.value, perm), full(emitter, shape))


def _ordered(emitter: Emitter, term: Term, result: str) -> Activation:
    """Bring the axes into the order of the result."""
    if not isinstance(term.value, Activation):
        raise Unsupported("it computes with constants only")
    order = [term.letters.index(letter) for letter in result]
    perm = [*range(emitter.offset), *(axis + emitter.offset for axis in order)]
    return transpose(emitter, term.value, perm)
