"""Paths one after the other."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocert.errors import InvalidSpec
from glocert.paths.path import Enclosure, Loaded, Path
from glocert.paths.rounded import Rounded
from glocert.rounding import CHARGE, TINY, UNIT, UP

Float64 = NDArray[np.float64]
Next = Callable[[Rounded], Path]
"""Makes a step of the image that it starts from."""
_LEEWAY = 32 * UNIT
"""More than the error of a parameter within its step: two differences, a quotient and a sum below 2."""


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """Steps that follow each other at equal distances: step i of n runs from t = i/n to (i + 1)/n.

    The ends of the steps are the float64 numbers nearest to these fractions. Every step starts at the last
    image of the one before, and images are clamped to the domain, so that the path has no jumps.

    Attributes:
        steps: paths of one parameter and equal shapes.
        domain: smallest and largest value of an image.
    """

    steps: tuple[Path, ...]
    domain: tuple[float, float]

    def __post_init__(self) -> None:
        shapes = {step.shape for step in self.steps}
        if len(shapes) != 1 or any(step.dimensions != 1 for step in self.steps):
            raise InvalidSpec("steps follow each other only if each has one parameter and all have one shape")

    @classmethod
    def of(cls, start: Rounded, steps: Sequence[Next], domain: tuple[float, float]) -> Chain:
        """Let every step start from the last image of the one before.

        Args:
            start: image that the first step starts from, any shape.
            steps: at least one.
            domain: clamping two numbers never takes them farther apart, so what is known of an image up to a
                radius is known of the clamped one up to the same.
        """
        made: list[Path] = []
        for following in steps:
            if made:
                last = _last(made[-1])
                start = Rounded(np.clip(last.value, *domain), last.radius)
            made.append(following(start))
        return cls(tuple(made), domain)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an image."""
        return self.steps[0].shape

    @property
    def dimensions(self) -> int:
        """One parameter."""
        return 1

    @property
    def ends(self) -> tuple[float, ...]:
        """Parameters at which steps begin and end."""
        return tuple(i / len(self.steps) for i in range(len(self.steps) + 1))

    @property
    def joints(self) -> tuple[float, ...]:
        """Where one step meets the next, and where the steps should be cut themselves."""
        found: list[float] = []
        for step, start, stop in zip(self.steps, self.ends, self.ends[1:], strict=False):
            found += [start, *(start + joint * (stop - start) for joint in step.joints)]
        return tuple(sorted({t for t in found if 0 < t < 1}))

    def at(self, t: Sequence[float]) -> Float64:
        """Return the image at ``t`` in float64."""
        ends = self.ends
        i = min(max(bisect_right(ends, t[0]) - 1, 0), len(self.steps) - 1)
        inner = (t[0] - ends[i]) / (ends[i + 1] - ends[i])
        return np.clip(self.steps[i].at([min(max(inner, 0.0), 1.0)]), *self.domain)

    def loaded(self, device: torch.device) -> LoadedChain:
        """Load every step."""
        return LoadedChain(tuple(step.loaded(device) for step in self.steps), self.ends, self.domain)


def _last(path: Path) -> Rounded:
    """Return the image at t = 1."""
    one = torch.ones(1, 1, dtype=torch.float64)
    found = path.loaded(torch.device("cpu")).enclose(one, torch.zeros_like(one))
    radius = (found.error[0] + found.lines[1, 0].abs()) * UP
    return Rounded(found.lines[0, 0].numpy(), radius.numpy())


@dataclass(frozen=True, slots=True, eq=False)
class LoadedChain:
    """The steps on a device.

    A row is cut at the ends of the steps. On each of its parts a step bounds the image by a line in a
    parameter v of its own, ``tau = m + k v`` with tau the step's t. With ``t = middle + half u`` and ``tau =
    (t - start)/length`` that is a line in u: v is off by at most the rounding of tau over k, which is charged
    times the slope; k is so large that the part and this error are within v in [-1, 1]. A row with one part
    takes over its line. A row across an end takes the chord between the ends of its lines; the error is what
    it takes to reach every line, at both ends of its part, with its error.

    Attributes:
        steps: in order.
        ends: n + 1 parameters.
        domain: smallest and largest value of an image.
    """

    steps: tuple[Loaded, ...]
    ends: tuple[float, ...]
    domain: tuple[float, float]

    def enclose(self, middle: Tensor, half: Tensor) -> Enclosure:
        """Enclose the images, one row each."""
        parts = [part for i in range(len(self.steps)) for part in self._part(i, middle, half)]
        count = torch.zeros(len(middle), dtype=torch.int64, device=middle.device)
        for part in parts:
            count[part.rows] += 1
        shape = (len(middle), *parts[0].error.shape[1:])
        lines, error = middle.new_empty(2, *shape), middle.new_empty(shape)
        for part in parts:
            lines[:, part.rows], error[part.rows] = part.lines, part.error
        for row in torch.nonzero(count > 1).flatten().tolist():
            found = [part.of(row) for part in parts if bool((part.rows == row).any())]
            lines[:, row], error[row] = _hull(found)
        return Enclosure(lines, error)

    def _part(self, i: int, middle: Tensor, half: Tensor) -> list[_Part]:
        """Return the parts of all rows in step i, in one; none where no row meets it."""
        start, stop = self.ends[i], self.ends[i + 1]
        reach = half * UP + 4 * UNIT
        low, high = (middle - reach).clamp(min=start), (middle + reach).clamp(max=stop)
        rows = torch.nonzero(((low <= stop) & (high >= start)).flatten()).flatten()
        if not len(rows):
            return []
        middle, half, low, high = (part[rows] for part in (middle, half, low, high))
        length = stop - start
        begin, end = (low - start) / length, (high - start) / length
        inner, outer = (begin + end) * 0.5, (end - begin) * (0.5 * UP) + 2 * _LEEWAY
        found = _clipped(self.steps[i].enclose(inner, outer), *self.domain)
        column = (-1, *(1,) * (found.error.ndim - 1))
        share = (half / length / outer).view(column)
        offset = (((middle - start) / length - inner) / outer).view(column)
        centre, slope = found.lines[0], found.lines[1].abs()
        lines = torch.stack([centre + found.lines[1] * offset, found.lines[1] * share])
        size = share + offset.abs()
        doubt = (_LEEWAY / outer).view(column) + size * (16 * UNIT)
        error = (found.error + slope * doubt + (centre.abs() + slope * size) * CHARGE) * UP + TINY
        scale = torch.where(half > 0, 1 / half, 0.0)
        places = [((edge - middle) * scale).clamp(-1.0, 1.0).flatten() for edge in (low, high)]
        return [_Part(rows, lines, error, places[0], places[1])]


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Lines of the parts of some rows that lie in one step.

    Attributes:
        rows: which ones.
        lines: shape (2, rows, *shape), in the u of the whole row.
        error: shape (rows, *shape).
        start: u at which each part begins, off by a few roundings.
        stop: u at which it ends.
    """

    rows: Tensor
    lines: Tensor
    error: Tensor
    start: Tensor
    stop: Tensor

    def of(self, row: int) -> _Part:
        """Return the part of one row, with one row."""
        at = self.rows == row
        return _Part(self.rows[at], self.lines[:, at], self.error[at], self.start[at], self.stop[at])

    def value(self, u: Tensor) -> Tensor:
        """Return the line at ``u``."""
        return self.lines[0] + self.lines[1] * u


def _hull(parts: Sequence[_Part]) -> tuple[Tensor, Tensor]:
    """Return one line for several parts of one row, in their order; shapes (2, *shape) and (*shape)."""
    first, last = parts[0].start, parts[-1].stop
    left, right = parts[0].value(first), parts[-1].value(last)
    slope = (right - left) / torch.where(last > first, last - first, torch.inf)
    centre, size = left - slope * first, slope.abs()
    most, least = torch.full_like(left, -torch.inf), torch.full_like(left, torch.inf)
    for part in parts:
        size = size + part.lines.abs().sum(0)
        for u in (part.start, part.stop):
            distance = part.value(u) - (centre + slope * u)
            most, least = (
                torch.maximum(most, distance + part.error),
                torch.minimum(least, distance - part.error),
            )
    shift = (most + least) * 0.5
    error = (torch.maximum(most - shift, shift - least) + (size + centre.abs()) * CHARGE) * UP + TINY
    return torch.stack([centre + shift, slope])[:, 0], error[0]


def _clipped(found: Enclosure, low: float, high: float) -> Enclosure:
    """Clamp lines to a domain; those that stay inside are left alone.

    On the range [l, r] of a number x, ``clip(x) - g x`` is extreme at l, at r, at ``low`` or at ``high``.
    With the mean m of the extremes and d half of their difference the clamped number is within ``g error +
    d`` of ``g line + m``, whatever g >= 0 is; it is the chord's slope.
    """
    centre, slope = found.lines
    width = (slope.abs() + found.error) * UP + centre.abs() * (UP - 1)
    left, right = centre - width, centre + width
    if not bool(((left < low) | (right > high)).any()):
        return found
    chord = (right.clamp(low, high) - left.clamp(low, high)) / (right - left).clamp(min=TINY)
    inside = (left >= low) & (right <= high)
    gain = torch.where(inside, 1.0, chord.clamp(0.0, 1.0))
    places = torch.stack([left, right, left.clamp(low, high), right.clamp(low, high)])
    values = places.clamp(low, high) - gain * places
    most, least = values.amax(0), values.amin(0)
    shift = torch.where(inside, 0.0, (most + least) * 0.5)
    spare = (most - least) * 0.5 + (centre.abs() + width + max(abs(low), abs(high))) * CHARGE
    error = torch.where(inside, found.error, (gain * found.error + spare) * UP)
    return Enclosure(torch.stack([gain * centre + shift, gain * slope]), error)
