"""Pictures of a training: what it makes, and how its losses fell."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image

from glocert.generators.training.learner import Rows
from glocert.generators.training.training import Epoch
from glocert.pictures import rows

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 640, 320, 60, 16, 150, 36
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5d5d5d")
"""Colours that colour-blind readers can tell apart (Okabe and Ito)."""
_INK = "#1e1e1e"


def sheet(shown: Rows) -> Image.Image:
    """Return a picture of rows of images in [0, 1], each under what it is; three channels at most."""
    drawn = [(title, images.detach().cpu().double().numpy()) for title, images in shown]
    return rows(
        [(title, list(images[:, :3] if images.shape[1] > 2 else images[:, :1])) for title, images in drawn]
    )


def losses(log: Sequence[Epoch]) -> str:
    """Return every part of the loss over the epochs, logarithmic: the same bytes for the same log."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for epoch in log:
        for name, value in epoch.parts.items():
            if value:
                curves.setdefault(name, []).append((epoch.number, math.log10(abs(value))))
    levels = [level for curve in curves.values() for _, level in curve] or [0.0]
    low, high = math.floor(min(levels)), max(math.ceil(max(levels)), math.floor(min(levels)) + 1)
    last = max(len(log), 2)

    def place(number: float, level: float) -> str:
        x = _LEFT + (number - 1) / (last - 1) * (_WIDTH - _LEFT - _RIGHT)
        y = _TOP + (high - level) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)
        return f"{x:.1f} {y:.1f}"

    ticks = "".join(
        f'<text x="{_LEFT - 8}" y="{place(1, level).split()[1]}" text-anchor="end" '
        f'dominant-baseline="middle">1e{level}</text>'
        for level in range(low, high + 1)
    )
    lines = "".join(
        _curve(name, [place(*point) for point in curve], number)
        for number, (name, curve) in enumerate(curves.items())
    )
    base = place(1, low).split()[1]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="12" fill="{_INK}">'
        f"<title>Parts of the loss by epoch</title>{ticks}"
        f'<path d="M{_LEFT} {_TOP}V{base}H{_WIDTH - _RIGHT}" fill="none" stroke="{_INK}"/>{lines}'
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) // 2}" y="{_HEIGHT - 8}" text-anchor="middle">'
        f"epoch 1 to {last}</text></svg>\n"
    )


def _curve(name: str, points: Sequence[str], number: int) -> str:
    colour = _COLOURS[number % len(_COLOURS)]
    y = _TOP + 8 + 18 * number
    return (
        f'<path d="M{" L".join(points)}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        f'<path d="M{_WIDTH - _RIGHT + 8} {y}h14" stroke="{colour}" stroke-width="3"/>'
        f'<text x="{_WIDTH - _RIGHT + 28}" y="{y}" dominant-baseline="middle">{name}</text>'
    )
