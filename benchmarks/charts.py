"""Line charts and bar charts as SVG, for pages that are read in a browser: no library, no script."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito: colour-blind readers can tell them apart"""
_WIDTH, _HEIGHT = 640, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 170, 36, 48
_ROW = 20

Series = Mapping[str, Sequence[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a chart.

    Attributes:
        title: what it shows, with its unit.
        logarithmic: whether equal ratios have equal lengths.
    """

    title: str
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Return where a number lies before the axis is scaled."""
        return math.log10(value) if self.logarithmic else value

    def ticks(self, low: float, high: float) -> list[float]:
        """Return round numbers between two numbers."""
        if self.logarithmic:
            first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
            found = [10.0**power for power in range(first, last + 1)]
            if len(found) < 4:
                found = [step * power for power in found for step in (1.0, 2.0, 5.0)]
        else:
            step = 10 ** math.floor(math.log10(max(high - low, 1e-12)))
            step = next(
                step * part for part in (0.1, 0.2, 0.5, 1.0, 2.0) if (high - low) / (step * part) <= 7
            )
            found = [step * at for at in range(math.ceil(low / step), math.floor(high / step) + 1)]
        return [tick for tick in found if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]


def lines(title: str, x: Axis, y: Axis, series: Series, *, joined: bool = True) -> str:
    """Return a chart of several series; ``joined`` says whether neighbours are connected.

    On a logarithmic axis numbers that are not positive are left out.
    """
    kept = {name: _shown(points, x, y) for name, points in series.items()}
    kept = {name: points for name, points in kept.items() if points}
    spans = [_span([point[at] for points in kept.values() for point in points], axis) for at, axis in
             enumerate((x, y))]  # fmt: skip
    frame = _Frame(x, y, *spans)
    parts = [_text(_LEFT, 20, title, size=14), *frame.grid()]
    for at, (name, points) in enumerate(kept.items()):
        colour = COLOURS[at % len(COLOURS)]
        places = [frame.at(*point) for point in points]
        if joined:
            path = " ".join(f"{left:.1f},{top:.1f}" for left, top in places)
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts += [f'<circle cx="{left:.1f}" cy="{top:.1f}" r="2.5" fill="{colour}"/>' for left, top in places]
        top = _TOP + 14 + _ROW * at
        parts.append(f'<circle cx="{_WIDTH - _RIGHT + 14}" cy="{top - 4}" r="4" fill="{colour}"/>')
        parts.append(_text(_WIDTH - _RIGHT + 24, top, name))
    return _svg(_WIDTH, _HEIGHT, parts)


def bars(title: str, values: Mapping[str, float], marks: Mapping[str, float]) -> str:
    """Return horizontal bars on a logarithmic axis, with vertical lines at ``marks``."""
    low = min([*values.values(), *marks.values()]) / 1.3
    high = max([*values.values(), *marks.values()]) * 1.3
    axis = Axis("", logarithmic=True)
    left, width = 190, _WIDTH - 190 - 60
    height = _TOP + 24 + _ROW * len(values) + 24

    def place(value: float) -> float:
        return left + width * (math.log10(value / low)) / math.log10(high / low)

    parts = [_text(10, 20, title, size=14)]
    for tick in axis.ticks(low, high):
        parts.append(_line(place(tick), _TOP + 18, place(tick), height - 22, "#dddddd"))
        parts.append(_text(place(tick), height - 8, f"{tick:g}", anchor="middle"))
    for at, (name, value) in enumerate(values.items()):
        top = _TOP + 22 + _ROW * at
        start, stop = sorted((place(1.0) if low <= 1 <= high else left, place(value)))
        colour = COLOURS[0] if value >= 1 else COLOURS[1]
        parts.append(f'<rect x="{start:.1f}" y="{top}" width="{max(stop - start, 1):.1f}" height="13" '
                     f'fill="{colour}"/>')  # fmt: skip
        parts.append(_text(left - 8, top + 11, name, anchor="end"))
        parts.append(_text(_WIDTH - 6, top + 11, f"{value:.2f}", anchor="end"))
    for name, value in marks.items():
        parts.append(_line(place(value), _TOP + 14, place(value), height - 22, "#444444"))
        parts.append(_text(place(value), _TOP + 10, name, anchor="middle"))
    return _svg(_WIDTH, height, parts)


def _shown(points: Sequence[tuple[float, float]], x: Axis, y: Axis) -> list[tuple[float, float]]:
    return [(a, b) for a, b in points if not (x.logarithmic and a <= 0) and not (y.logarithmic and b <= 0)]


def _span(values: Sequence[float], axis: Axis) -> tuple[float, float]:
    low, high = min(values), max(values)
    if axis.logarithmic:
        return low / 1.25, high * 1.25
    room = (high - low or abs(high) or 1.0) * 0.04
    return min(low, 0.0) if 0 <= low <= 0.3 * high else low - room, high + room


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where numbers lie in the picture."""

    x: Axis
    y: Axis
    across: tuple[float, float]
    up: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the place of a point, in pixels."""
        return (
            _LEFT + _share(self.x, self.across, x) * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - _share(self.y, self.up, y) * (_HEIGHT - _TOP - _BOTTOM),
        )

    def grid(self) -> list[str]:
        """Return the lines and numbers of both axes."""
        right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
        parts = []
        for tick in self.x.ticks(*self.across):
            left, _ = self.at(tick, self.up[0])
            parts += [_line(left, _TOP, left, bottom, "#dddddd")]
            parts += [_text(left, bottom + 16, f"{tick:g}", anchor="middle")]
        for tick in self.y.ticks(*self.up):
            _, top = self.at(self.across[0], tick)
            parts += [_line(_LEFT, top, right, top, "#dddddd")]
            parts += [_text(_LEFT - 6, top + 4, f"{tick:g}", anchor="end")]
        parts.append(_text((_LEFT + right) / 2, _HEIGHT - 10, self.x.title, anchor="middle"))
        middle = (_TOP + bottom) / 2
        parts.append(f'<g transform="rotate(-90 14 {middle:.0f})">'
                     f"{_text(14, middle, self.y.title, anchor='middle')}</g>")  # fmt: skip
        return parts


def _share(axis: Axis, span: tuple[float, float], value: float) -> float:
    low, high = (axis.place(end) for end in span)
    return (axis.place(value) - low) / (high - low)


def _line(left: float, top: float, right: float, bottom: float, colour: str) -> str:
    return f'<line x1="{left:.1f}" y1="{top:.1f}" x2="{right:.1f}" y2="{bottom:.1f}" stroke="{colour}"/>'


def _text(left: float, top: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{left:.1f}" y="{top:.1f}" font-size="{size}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif">'
    )
    paper = f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    return "\n".join([head, paper, *parts, "</svg>", ""])
