"""VNN-LIB files: input boxes and unsafe sets of outputs, exactly as they are written."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from glocert.boxes import Inequality, Unsafe
from glocert.errors import InvalidSpec
from glocert.vnnlib.expressions import LONGEST, Atom, List, Source, commands, shown
from glocert.vnnlib.formulas import Conjunction, Disjunction, Formulas, Literal, both
from glocert.vnnlib.linear import Terms, is_variable

_IGNORED = frozenset({"set-logic", "set-info", "set-option", "check-sat", "get-model", "exit"})
_ALWAYS = Inequality({}, {}, Fraction(-1))

Box = tuple[tuple[Fraction, ...], tuple[Fraction, ...]]


@dataclass(frozen=True, slots=True)
class Region:
    """One box of inputs and what must not happen in it.

    Attributes:
        lower: exact lower ends, one per input.
        upper: exact upper ends, none below its lower end.
        unsafe: over inputs and outputs.
    """

    lower: tuple[Fraction, ...]
    upper: tuple[Fraction, ...]
    unsafe: Unsafe


@dataclass(frozen=True, slots=True)
class Property:
    """A VNN-LIB file: ``sat`` where some region has an unsafe point.

    Attributes:
        inputs: how many X there are.
        outputs: how many Y.
        regions: may overlap; none at all where the conditions contradict each other.
    """

    inputs: int
    outputs: int
    regions: tuple[Region, ...]


def text_of(data: bytes) -> str:
    """Return the text of a file, unpacked where it is gzipped.

    Raises:
        InvalidSpec: it is too long, damaged or not UTF-8.
    """
    if data[:2] == b"\x1f\x8b":
        data = _unpacked(data)
    if len(data) > LONGEST:
        raise InvalidSpec(f"the property is longer than {LONGEST} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as failure:
        raise InvalidSpec(f"the property is not UTF-8 at byte {failure.start}") from None


def _unpacked(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        found = unpacker.decompress(data, LONGEST + 1)
    except zlib.error:
        raise InvalidSpec("the property is not a readable gzip file") from None
    if len(found) <= LONGEST and not unpacker.eof:
        raise InvalidSpec("the property is a gzip file that breaks off")
    return found


def read_property(data: bytes) -> Property:
    """Read a VNN-LIB file, gzipped or not.

    Raises:
        InvalidSpec: says what is wrong, and where.
    """
    return _Reader(Source(text_of(data))).read()


@dataclass(slots=True)
class _Reader:
    """One file being read; ``formula`` is the AND of its assertions."""

    source: Source
    declared: dict[str, int] = field(default_factory=dict)
    assertions: list[Disjunction] = field(default_factory=list)

    def read(self) -> Property:
        for command in commands(self.source):
            self._command(command)
        inputs, outputs = (self._count(letter) for letter in "XY")
        fixed = [literal for part in self.assertions if len(part) == 1 for literal in part[0]]
        regions = _Regions(inputs, fixed)
        for conjunction in both([part for part in self.assertions if len(part) > 1]):
            regions.add(conjunction)
        return Property(inputs, outputs, regions.found())

    def _command(self, command: List) -> None:
        if command.head in _IGNORED:
            return
        if command.head == "assert" and len(command.items) == 2:
            formulas = Formulas(self.source, Terms(self.source, self.declared))
            self.assertions.append(formulas.read(command.items[1]))
            return
        if command.head in ("declare-const", "declare-fun"):
            self._declare(command)
            return
        raise self.source.refused(
            command.offset, "a command is one of (declare-const NAME Real), (assert FORMULA)"
        )

    def _declare(self, command: List) -> None:
        items = list(command.items[1:])
        if command.head == "declare-fun" and len(items) == 3 and items[1] == List([], items[1].offset):
            del items[1]
        name, kind = (items[0], items[1]) if len(items) == 2 else (None, None)
        if not (isinstance(name, Atom) and isinstance(kind, Atom) and kind.text == "Real"):
            raise self.source.refused(command.offset, "a declaration is (declare-const NAME Real)")
        if not is_variable(name.text):
            raise self.source.refused(
                name.offset, f"{shown(name.text)}: variables are X_0, X_1, ..., Y_0, ..."
            )
        if name.text in self.declared:
            raise self.source.refused(name.offset, f"{name.text} is declared twice")
        self.declared[name.text] = name.offset

    def _count(self, letter: str) -> int:
        """Return how many variables of one letter there are; they must be numbered without gaps."""
        numbers = sorted(int(name[2:]) for name in self.declared if name[0] == letter)
        if not numbers:
            raise InvalidSpec(f"the property declares no {letter}_0")
        for expected, found in enumerate(numbers):
            if expected != found:
                raise InvalidSpec(f"the property declares {letter}_{found} but no {letter}_{expected}")
        return len(numbers)


@dataclass(slots=True)
class _Sides:
    """What an AND of inequalities says of single inputs, and the rest of it.

    Attributes:
        lower: largest lower end of each input, None where there is none.
        upper: smallest upper end.
        rest: all other inequalities.
        possible: whether no inequality without variables is false.
    """

    lower: list[Fraction | None]
    upper: list[Fraction | None]
    rest: list[Inequality]
    possible: bool = True

    def with_all(self, literals: Iterable[Literal]) -> _Sides:
        """Return a copy with more inequalities."""
        copy = _Sides([*self.lower], [*self.upper], [*self.rest], self.possible)
        for literal in literals:
            copy._add(_inequality(literal))
        return copy

    def _add(self, inequality: Inequality) -> None:
        if not (inequality.inputs or inequality.outputs):
            self.possible &= inequality.holds((), ())
            return
        bounds = len(inequality.inputs) == 1 and not inequality.outputs
        if bounds:
            self._bound(inequality)
        if not bounds or inequality.strict:
            self.rest.append(inequality)

    def _bound(self, inequality: Inequality) -> None:
        ((position, factor),) = inequality.inputs.items()
        end = -inequality.constant / factor
        ends, tighter = (self.upper, min) if factor > 0 else (self.lower, max)
        known = ends[position]
        ends[position] = end if known is None else tighter(known, end)

    def box(self) -> Box:
        """Return the ends of all inputs."""
        return _closed("lower", self.lower), _closed("upper", self.upper)


def _closed(what: str, side: list[Fraction | None]) -> tuple[Fraction, ...]:
    for position, end in enumerate(side):
        if end is None:
            raise InvalidSpec(f"X_{position} has no {what} bound")
    return tuple(end for end in side if end is not None)


class _Regions:
    """ANDs of inequalities collected by the box of inputs that they speak of."""

    def __init__(self, inputs: int, fixed: list[Literal]) -> None:
        nothing: list[Fraction | None] = [None] * inputs
        self._fixed = _Sides(nothing, nothing, []).with_all(fixed)
        self._known: dict[Box, list[list[Inequality]]] = {}

    def add(self, conjunction: Conjunction) -> None:
        """Take one AND of inequalities; one that contradicts itself adds nothing."""
        sides = self._fixed.with_all(conjunction)
        box = sides.box()
        if sides.possible and all(low <= high for low, high in zip(*box, strict=True)):
            self._known.setdefault(box, []).append(sides.rest or [_ALWAYS])

    def found(self) -> tuple[Region, ...]:
        """Return what was collected."""
        return tuple(Region(*box, _unsafe(groups)) for box, groups in self._known.items())


def _inequality(literal: Literal) -> Inequality:
    factors = literal.term.factors
    outputs, inputs = (
        {int(name[2:]): factor for name, factor in factors.items() if name[0] == letter} for letter in "YX"
    )
    return Inequality(outputs, inputs, literal.term.constant, literal.strict)


def _unsafe(groups: list[list[Inequality]]) -> Unsafe:
    """Number every inequality once."""
    order: dict[tuple[object, ...], int] = {}
    kept: list[Inequality] = []
    found = []
    for group in groups:
        members = []
        for inequality in group:
            outputs, inputs = (tuple(sorted(x.items())) for x in (inequality.outputs, inequality.inputs))
            key = (outputs, inputs, inequality.constant, inequality.strict)
            if key not in order:
                order[key] = len(kept)
                kept.append(inequality)
            members.append(order[key])
        found.append(tuple(dict.fromkeys(members)))
    return Unsafe(tuple(kept), tuple(found))
