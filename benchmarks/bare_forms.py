"""The form domain without its rounding terms, and the engine with both domains so: to measure the proof.

Every transfer is replaced by a twin that bounds the same relaxation and charges no rounding. What it returns
proves nothing; only its time is of interest.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from benchmarks.bare import without_radius
from benchmarks.bare_backward import GUARD, without_charges
from glocert import engine, forms, segments
from glocert.forms.backward import Reversal
from glocert.forms.form import Form
from glocert.forms.loops import affine as loops
from glocert.forms.loops import kinks as kink_loops
from glocert.forms.loops import pooling
from glocert.forms.loops.views import array, by_rows, flat, inner, like
from glocert.forms.ops import affine, kinks, layout, maxima

EXACT = (1.0, 0.0, 1.0, GUARD)
"""what lifts sums, the charge, up and tiny of arithmetic that does not round"""
NO_LIMIT = math.inf


@dataclass(frozen=True, slots=True)
class Linear:
    """``W x + b``: the error goes through |W| and nothing is added to it."""

    proven: Any

    def __call__(self, x: Form) -> Form:
        """Map centre, slopes and error."""
        lines, bias = x.lines(), self.proven.bias
        out = affine.split(self.proven.through(lines.flatten(0, 1)), lines)
        error = self.proven.magnitude(x.error)
        seen = flat(out, error)
        if bias is not None and seen is not None and inner(error) == bias.numel():
            loops.closed(seen.lines[0], seen.error, array(bias), (0.0, 1.0), 0.0, NO_LIMIT)
        elif bias is not None:
            out[0] += bias
        return Form.of(out, error)


@dataclass(frozen=True, slots=True)
class Scale:
    """``g x + h`` number by number."""

    proven: Any

    def __call__(self, x: Form) -> Form:
        """Map centre, slopes and error."""
        x = affine.aligned(x, self.proven.rank)
        lines = self.proven.apply(x.lines())
        error = x.error if self.proven.factor is None else x.error * self.proven.factor
        return Form.of(lines, error.expand(lines.shape[1:]))


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum or difference of two forms."""

    proven: Any

    def __call__(self, x: Form, y: Form) -> Form:
        """Add everything."""
        x, y = affine.aligned(x, self.proven.rank), affine.aligned(y, self.proven.rank)
        one, other = flat(x.lines(), x.error), flat(y.lines(), y.error)
        if one is None or other is None or x.error.stride() != y.error.stride():
            return Form.of(torch.add(x.lines(), y.lines(), alpha=self.proven.sign), x.error + y.error)
        made, out = like(x.lines(), x.error)
        pairs = (one.lines, one.error), (other.lines, other.error)
        loops.added(*pairs, float(self.proven.sign), EXACT, (0.0, NO_LIMIT), *out)
        return made


@dataclass(frozen=True, slots=True)
class Bent:
    """A function with kinks: the same line on the same range."""

    proven: Any

    def __call__(self, x: Form) -> Form:
        """Pass on, make constant, or replace by a line."""
        if self.proven.same == (-torch.inf, torch.inf):
            return x
        seen = flat(x.lines(), x.error)
        if seen is None or not (self.proven.rectifies or self.proven.clamps):
            return self.proven(x)  # type: ignore[no-any-return]
        made, out = like(x.lines(), x.error)
        if self.proven.rectifies:
            kink_loops.rectify(*seen, EXACT, *out)
        else:
            kink_loops.clamp(*seen, EXACT, (*self.proven.same, 0.0), *out)
        return made


@dataclass(frozen=True, slots=True)
class Maximum:
    """Max pooling, one place of the window after the other."""

    proven: Any

    def __call__(self, x: Form) -> Form:
        """Fold the places of all windows."""
        seen, table = by_rows(x), self.proven.table(x)
        if seen is None:
            return self.proven(x)  # type: ignore[no-any-return]
        lines, error = table.empty(x.error, len(seen.lines), len(x.error)), table.empty(x.error, len(x.error))
        flat_lines, bound = lines.permute(0, 1, *table.axes(2)), error.permute(0, *table.axes(1))
        pooling.largest(
            *seen, table.positions, EXACT, flat_lines.flatten(2).numpy(), bound.flatten(1).numpy()
        )
        return Form.of(lines, error)


class Unrounded(forms.Program):
    """A program that forgets that the stored path is rounded."""

    __slots__ = ()

    def entered(self, x: Form) -> Form:
        """Return forms of the path without an error."""
        x = forms.Program.entered(self, x)
        return Form.of(x.lines(), torch.zeros_like(x.error))


_TWINS = {
    affine.Linear: Linear,
    affine.Scale: Scale,
    affine.Sum: Sum,
    kinks.Bent: Bent,
    maxima.Maximum: Maximum,
}


def without_errors(program: forms.Program) -> forms.Program:
    """Return a program that bounds the same relaxations without rounding terms.

    Raises:
        TypeError: the network has an operator that this measurement does not know.
    """
    bare = {field.name: getattr(program, field.name) for field in dataclasses.fields(program)}
    steps = tuple(replace(step, transfer=_twin(step.transfer)) for step in program.steps)
    return Unrounded(**(bare | {"steps": steps}))


def _twin(transfer: Any) -> Any:
    if type(transfer) in _TWINS:
        return _TWINS[type(transfer)](transfer)
    if getattr(transfer, "__module__", "") == layout.__name__:
        return transfer
    raise TypeError(getattr(transfer, "__qualname__", type(transfer).__name__))


def without_rounding(program: engine.Program) -> engine.Program:
    """Return the engine's program with every domain replaced by its twin, whichever it has.

    Raises:
        TypeError: a domain has an operator that has no twin.
    """
    for name, member in vars(type(program)).items():
        if isinstance(member, property):
            getattr(program, name)  # each domain is made when it is first asked for
    twins: dict[type, Callable[[Any], Any]] = {
        forms.Program: without_errors,
        segments.Program: without_radius,
        Reversal: lambda reversal: without_charges(reversal, without_errors),
    }
    bare = engine.prepare(program.graph, program.device)
    for field in dataclasses.fields(program):
        value = getattr(program, field.name)
        if type(value) in twins:
            setattr(bare, field.name, twins[type(value)](value))
    return bare
