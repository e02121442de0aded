"""The form domain without its rounding terms, and the engine with both domains so: to measure the proof.

Every transfer is replaced by a twin that bounds the same relaxation and charges no rounding. What it returns
proves nothing; only its time is of interest.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from benchmarks.bare import without_radius
from benchmarks.bare_backward import rectified, without_charges
from glocert import engine, forms, segments
from glocert.forms.backward import Reversal
from glocert.forms.form import Form
from glocert.forms.ops import affine, kinks, layout, maxima


@dataclass(frozen=True, slots=True)
class Linear:
    """``W x + b``: the error goes through |W| and nothing is added to it."""

    proven: Any

    def __call__(self, x: Form) -> Form:
        """Map centre, slopes and error."""
        lines = x.lines()
        out = affine.split(self.proven.through(lines.flatten(0, 1)), lines)
        if self.proven.bias is not None:
            out[0] += self.proven.bias
        return Form.of(out, self.proven.magnitude(x.error))


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
        return Form.of(torch.add(x.lines(), y.lines(), alpha=self.proven.sign), x.error + y.error)


@dataclass(frozen=True, slots=True)
class Bent:
    """A function with kinks: the same line on the same range."""

    proven: Any

    def __call__(self, given: Form) -> Form:
        """Pass on, make constant, or replace by a line."""
        if self.proven.same == (-torch.inf, torch.inf):
            return given
        if self.proven.rectifies and given.error.numel() <= kinks._SMALL:
            gain, half = rectified(*_range(given))
            lines = given.lines() * gain
            lines[0] += half
            return Form.of(lines, given.error * gain + half)
        x, restored = given.flat()
        low, high = _range(x)
        settled = self.proven.passed(low, high)
        gain, shift = settled.to(low.dtype), None
        for value, there in self.proven.constant(low, high):
            settled |= there
            shift = shift if not value else there.to(gain.dtype) * value + (0 if shift is None else shift)
        loose = (~settled).nonzero().squeeze(1)
        slope, middle, half = self._chord(low[loose], high[loose])
        gain[loose] = slope
        lines, error = x.lines() * gain, (x.error * gain).abs_()
        if shift is not None:
            lines[0] += shift
        lines[0, loose] += middle
        error[loose] += half
        return restored(Form.of(lines, error))

    def _chord(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        function = self.proven.function
        at_low, at_high = function(low), function(high)
        gain = (at_high - at_low) / (high - low)
        top = bottom = at_low - gain * low
        for level in self.proven.levels:
            miss = function(torch.full_like(low, level)) - gain * level
            inside = (low < level) & (high > level)
            top = torch.where(inside, torch.maximum(top, miss), top)
            bottom = torch.where(inside, torch.minimum(bottom, miss), bottom)
        return gain, (top + bottom) / 2, (top - bottom) / 2


@dataclass(frozen=True, slots=True)
class Maximum:
    """Max pooling, one place of the window after the other."""

    proven: Any

    def __call__(self, x: Form) -> Form:
        """Fold the places of all windows."""
        window = self.proven.window
        lines, errors = window.frame(x.lines()), window.frame(x.error)
        first, *rest = window.places()
        best, error = window.shifted(lines, first), window.shifted(errors, first)
        known = self.proven.real[0]
        for place, real in zip(rest, self.proven.real[1:], strict=True):
            other = window.shifted(lines, place), window.shifted(errors, place)
            best, error = _larger((best, error), other, ~real, real & ~known)
            known = known | real
        return Form.of(best, error)


def _larger(
    b: tuple[Tensor, Tensor], a: tuple[Tensor, Tensor], keep: Tensor, take: Tensor
) -> tuple[Tensor, Tensor]:
    low, high = _range(Form.of(a[0] - b[0], a[1] + b[1]))
    take = take | ((low >= 0) & ~keep)
    loose = (~(take | keep | (high <= 0))).nonzero(as_tuple=True)
    lines, error = torch.where(take, a[0], b[0]), torch.where(take, a[1], b[1])
    if len(loose[0]):
        gain = high[loose] / (high[loose] - low[loose])
        half = -gain * low[loose] / 2
        for part, (first, second) in enumerate(zip(b[0], a[0], strict=True)):
            mixed = first[loose] + (second[loose] - first[loose]) * gain
            lines[part][loose] = mixed + half if part == 0 else mixed
        error[loose] = b[1][loose] * (1 - gain) + a[1][loose] * gain + half
    return lines, error


def _range(x: Form) -> tuple[Tensor, Tensor]:
    width = x.slopes[0].abs() if len(x.slopes) == 1 else x.slopes.abs().sum(0)
    width = width + x.error
    return x.centre - width, x.centre + width


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
