"""Functions of one number with kinks at known levels: Relu, LeakyRelu, Clip.

Where a coordinate stays on one side of every level, nothing is lost: it is passed on as it is, or becomes a
constant without any error. Anywhere else the function ``f`` is replaced on the proven range [l, h] by a line
``g x + m``: as f is piecewise linear, ``f(x) - g x`` is largest and smallest at l, at h or at a level in
between, whatever g is, so half of the spread of these few numbers bounds the error. The chord's slope is
taken; soundness does not depend on it, and neither does it matter how g was rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.forms.form import Form, rounding_of
from glocert.forms.loops import kinks as loops
from glocert.forms.loops.views import flat, like
from glocert.forms.ops.registry import Site, Transfer, transfer
from glocert.graph.execution import FACTOR_FLOOR, LARGEST
from glocert.graph.ir import Node

_SMALL = 2**16
"""numbers up to which going through all of them is quicker than finding those that bend"""


@dataclass(frozen=True, slots=True)
class Line:
    """``|f(x) - g x - m| <= half`` on a range, the roundings of evaluating ``g x + m`` on forms included.

    Attributes:
        gain: g.
        middle: m.
        half: the error.
    """

    gain: Tensor
    middle: Tensor
    half: Tensor


def chord(function: Callable[[Tensor], Tensor], levels: tuple[float, ...], low: Tensor, high: Tensor) -> Line:
    """Replace a piecewise linear function by a line on each range [low, high].

    Args:
        function: rounds its result at most twice.
        levels: where it bends, finite numbers of the tensors' type.
        low: lower ends, bounds on the form's extent: centre and slopes together are not larger in absolute
            value than the larger end.
        high: upper ends.
    """
    at_low, at_high = function(low), function(high)
    gain = (at_high - at_low) / (high - low)
    first, last = at_low - gain * low, at_high - gain * high
    top, bottom = torch.maximum(first, last), torch.minimum(first, last)
    scale = torch.maximum(at_low.abs(), at_high.abs())
    for level in levels:
        value = function(torch.full_like(low, level))
        miss = value - gain * level
        inside = (low < level) & (high > level)
        top = torch.where(inside, torch.maximum(top, miss), top)
        bottom = torch.where(inside, torch.minimum(bottom, miss), bottom)
        scale = torch.where(inside, torch.maximum(scale, value.abs()), scale)
    # Four roundings at most for each f(x) - g x, one of m, three of g x + m on centre and slopes.
    scale, own = scale + gain.abs() * torch.maximum(low.abs(), high.abs()), rounding_of(low.dtype)
    half = ((top - bottom) / 2 + scale * own.charge) * own.up + own.tiny
    return Line(gain, (top + bottom) / 2, half)


def rectifier(low: Tensor, high: Tensor) -> tuple[Line, Tensor]:
    """Replace ``max(x, 0)`` by a line on each range [low, high], the same as ``chord`` in fewer operations.

    With ``a = max(high, 0)``, ``b = min(low, 0)`` and any g in [0, 1] the largest of ``f(x) - g x`` is
    ``(1 - g) a`` or ``-g b``, and the smallest is not below zero. Where zero is not inside, g is exactly 0 or
    1 and so is the line; a range that is not finite makes the line NaN.

    Args:
        low: lower ends, bounds on the form's extent; overwritten.
        high: upper ends; overwritten.

    Returns:
        The lines, and where they are the function itself.
    """
    own = rounding_of(low.dtype)
    above, below = high.clamp_(min=0), low.clamp_(max=0)
    gain = above / (above - below).clamp_(min=own.tiny)
    top = torch.maximum((1 - gain).mul_(above), (gain * below).neg_())
    # Three roundings of ``top``, three of ``g x + m`` on forms: of numbers up to the larger of g a and top.
    half = torch.add(top * (0.5 * own.up + own.charge), gain * above, alpha=own.charge).add_(own.tiny)
    settled = top <= 0
    return Line(gain, top.mul_(0.5), half.masked_fill_(settled, 0.0)), settled


@dataclass(frozen=True, slots=True)
class Bent:
    """A continuous piecewise linear function of one number.

    Attributes:
        levels: where it bends, finite, ascending.
        same: it is the identity on this interval.
        below: its constant value below ``same``, or None where it is not constant there.
        above: its constant value above ``same``, or None.
        function: evaluates it, rounding at most twice.
        lost: how far it is from the function that is meant, by rounding of the levels.
        executed: how far an execution may be from it, as a share of ``|x|`` where it is not the identity.
        rectifies: whether it is ``max(x, 0)``.
        clamps: whether it is ``min(max(x, low), high)`` with ``same = (low, high)``.
    """

    levels: tuple[float, ...]
    same: tuple[float, float]
    below: float | None
    above: float | None
    function: Callable[[Tensor], Tensor]
    lost: float = 0.0
    executed: float = 0.0
    rectifies: bool = False
    clamps: bool = False

    def __call__(self, *inputs: Form) -> Form:
        """Pass on, make constant, or replace by a line, number by number."""
        if self.same == (-torch.inf, torch.inf):
            return inputs[0]
        made = self._in_one_pass(inputs[0])
        if made is not None:
            return made
        if self.rectifies and inputs[0].error.numel() <= _SMALL:
            return _rectified(inputs[0])
        own = inputs[0].rounding
        x, restored = inputs[0].flat()
        low, high = x.bounds()
        settled = self.passed(low, high)
        gain, shift = settled.to(low.dtype), None
        for value, there in self.constant(low, high):
            settled |= there
            shift = shift if not value else _added(shift, there.to(gain.dtype) * value)
        loose = (~settled).nonzero().squeeze(1)
        line = chord(self.function, self.levels, low[loose], high[loose])
        gain[loose] = line.gain
        lines, error = x.lines() * gain, (x.error * gain).abs_()
        if shift is not None:
            lines[0] += shift
        lines[0, loose] += line.middle
        rest = line.half
        if self.executed:
            rest = rest + torch.maximum(low[loose].abs(), high[loose].abs()) * self.executed
        error[loose] = (error[loose] + rest) * own.up
        if self.lost:
            error.add_(self.lost).mul_(own.up)
        return restored(Form.of(lines, error))

    def _in_one_pass(self, x: Form) -> Form | None:
        """Do the same in one pass over memory, for the functions that have a compiled loop."""
        if not (self.rectifies or self.clamps):
            return None
        lines, own = x.lines(), x.rounding
        seen = flat(lines, x.error)
        if seen is None:
            return None
        made, out = like(lines, x.error)
        constants = x.lift(3), own.charge, own.up, own.tiny
        if self.rectifies:
            loops.rectify(*seen, constants, *out)
        else:
            loops.clamp(*seen, constants, (*self.same, self.lost), *out)
        return made

    def passed(self, low: Tensor, high: Tensor) -> Tensor:
        """Return where the function is the identity; bounds that are not finite pass no comparison."""
        if self.same[0] == -torch.inf:
            return high <= self.same[1]
        passed = low >= self.same[0]
        return passed if self.same[1] == torch.inf else passed & (high <= self.same[1])

    def constant(self, low: Tensor, high: Tensor) -> Iterator[tuple[float, Tensor]]:
        """Yield the constants and where they are the value; nowhere where the function is the identity."""
        if self.below is not None:
            yield self.below, high <= self.same[0]
        if self.above is not None:
            yield self.above, low >= self.same[1]


def _rectified(x: Form) -> Form:
    """Rectify number by number, every one in the same way: few calls, which is what small forms cost."""
    line, settled = rectifier(*x.bounds())
    error = x.error * line.gain
    error = torch.where(settled, error, (error + line.half).mul_(x.rounding.up))
    lines = x.lines() * line.gain
    lines[0].add_(line.middle)
    return Form.of(lines, error)


def _added(total: Tensor | None, more: Tensor) -> Tensor:
    return more if total is None else total + more


@transfer("Relu")
def relu(node: Node, site: Site) -> Transfer:  # noqa: ARG001
    """``max(x, 0)``."""
    return Bent((0.0,), (0.0, torch.inf), 0.0, None, torch.relu, rectifies=True)


@transfer("LeakyRelu")
def leaky_relu(node: Node, site: Site) -> Transfer:
    """``x`` above zero, ``alpha x`` below; alpha may be any number. Executed, alpha and a product round."""
    alpha = node.number("alpha")

    def function(x: Tensor) -> Tensor:
        return torch.where(x < 0, x * alpha, x)

    same = (-torch.inf if alpha == 1 else 0.0, torch.inf)
    lost = torch.inf if site.rounds and abs(alpha) > LARGEST else 0.0
    executed = (
        max(abs(alpha), FACTOR_FLOOR) * site.charges(node).executed if alpha not in {-1.0, 0.0} else 0.0
    )
    return Bent((0.0,), same, 0.0 if alpha == 0 else None, None, function, lost, executed)


@transfer("Clip")
def clip(node: Node, site: Site) -> Transfer:
    """``min(max(x, low), high)``: the upper bound wins where they cross.

    Levels that are rounded move the function by no more than they move themselves.
    """
    (low, lost), (high, more) = (site.level(node.number(name)) for name in ("min", "max"))
    lost = max(lost, more)
    if low >= high:
        return _constant(high, lost)
    levels = tuple(level for level in (low, high) if abs(level) < torch.inf)
    below, above = (level if abs(level) < torch.inf else None for level in (low, high))
    return Bent(levels, (low, high), below, above, lambda x: x.clamp(low, high), lost, clamps=True)


def _constant(value: float, lost: float) -> Transfer:
    def apply(x: Form) -> Form:
        """Forget everything but whether the input was finite."""
        lines = torch.zeros_like(x.lines())
        lines[0] += value
        return Form.of(lines, x.peak() * 0 + lost)

    return apply
