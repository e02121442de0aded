"""Pictures for people: a counterexample beside its original, the path as a film strip or as a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.floating]
Colour = tuple[int, int, int]
Sizes = tuple[tuple[int, int], ...]
"""width and height of each image of a row"""
PROVEN, WRONG, OPEN = (0, 158, 115), (213, 94, 0), (200, 200, 200)
"""Colours that colour-blind readers can tell apart (Okabe and Ito): certified, wrong label, not proven."""
LEGEND = ((PROVEN, "proven"), (WRONG, "another label wins"), (OPEN, "not shown either way"))
_INK, _PAPER = (30, 30, 30), (255, 255, 255)
_TILE, _GAP, _LINE = 168, 12, 16
_PLANE, _MARK = 360, 5
_FRAMES = 16
"""rows of text that are kept"""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A coloured part of the bar under a strip, in shares of its length."""

    start: float
    stop: float
    colour: Colour


@dataclass(frozen=True, slots=True)
class Patch:
    """A coloured rectangle of a map, in shares of its sides; ``bottom`` is 0 at the lower edge."""

    left: float
    bottom: float
    right: float
    top: float
    colour: Colour


@dataclass(frozen=True, slots=True)
class Axis:
    """What is written along a side of a map.

    Attributes:
        title: what grows along it.
        start: its value at 0.
        stop: its value at 1.
    """

    title: str
    start: str
    stop: str


def drawable(shape: Sequence[int]) -> bool:
    """Whether ``shape`` is that of a grey, RGB or RGBA image ``(channels, height, width)``."""
    return len(shape) == 3 and shape[0] in {1, 3, 4}


def comparison(
    original: Pixels, found: Pixels, captions: Sequence[str], *, lower: float, upper: float
) -> Image.Image:
    """Return original, counterexample and their amplified difference side by side.

    Args:
        original: ``(channels, height, width)`` in [lower, upper].
        found: same shape.
        captions: three texts of one or more lines each.
        lower: value that is drawn black.
        upper: value that is drawn white.

    Returns:
        An RGB picture. In the difference, grey means no change and the largest change is black or white.
    """
    change = found.astype(np.float64) - original.astype(np.float64)
    largest = float(np.abs(change).max())
    shown = change / largest if largest > 0 else change
    tiles = [_tile(original, lower, upper), _tile(found, lower, upper), _tile(shown, -1.0, 1.0)]
    return _row(tiles, captions)


def rows(shown: Sequence[tuple[str, Sequence[Pixels]]]) -> Image.Image:
    """Return rows of images in [0, 1], each row under its title.

    Args:
        shown: title and images, each ``(channels, height, width)``, all of one size.
    """
    tiles = [(title, [_tile(image, 0.0, 1.0, _TILE // 3) for image in images]) for title, images in shown]
    size = tiles[0][1][0].size
    across, down = size[0] + _GAP // 3, size[1] + _LINE + _GAP
    most = max(len(row) for _, row in tiles)
    picture = Image.new("RGB", (most * across + 2 * _GAP, len(tiles) * down + _GAP), _PAPER)
    canvas, font = ImageDraw.Draw(picture), ImageFont.load_default(12)
    for number, (title, row) in enumerate(tiles):
        top = _GAP + number * down
        canvas.text((_GAP, top), title, fill=_INK, font=font)
        for place, tile in enumerate(row):
            picture.paste(tile, (_GAP + place * across, top + _LINE))
    return picture


def strip(
    images: Sequence[Pixels],
    captions: Sequence[str],
    bar: Sequence[Stretch],
    *,
    lower: float,
    upper: float,
) -> Image.Image:
    """Return images along a path from left to right, over a bar that says what is proven where.

    Args:
        images: each ``(channels, height, width)`` in [lower, upper]; the first is t = 0, the last t = 1.
        captions: one text per image.
        bar: parts of [0, 1], painted in order over the colour ``OPEN``.
        lower: value that is drawn black.
        upper: value that is drawn white.
    """
    tiles = [_tile(image, lower, upper, _TILE // 2) for image in images]
    picture = _strip_frame(_sizes(tiles), tuple(captions)).filled(tiles)
    canvas, width = ImageDraw.Draw(picture), picture.width - 2 * _GAP - 1
    top = picture.height - 4 * _GAP - _LINE
    for part in (Stretch(0.0, 1.0, OPEN), *bar):
        ends = (_GAP + part.start * width, top, _GAP + part.stop * width, top + 2 * _GAP)
        canvas.rectangle(ends, fill=part.colour)
    return picture


def sheet(
    rows: Sequence[Sequence[Pixels]], captions: Sequence[str], *, lower: float, upper: float
) -> Image.Image:
    """Return rows of images, one below the other, with a caption under every column.

    Args:
        rows: each as many images ``(channels, height, width)`` in [lower, upper] as there are captions.
        captions: one line each.
        lower: value that is drawn black.
        upper: value that is drawn white.
    """
    drawn = [[_tile(image, lower, upper, _TILE // 2) for image in row] for row in rows]
    frame = _row_frame(_sizes(drawn[-1]), tuple(captions))
    last = frame.filled(drawn[-1])
    step = drawn[-1][0].height + _GAP
    picture = Image.new("RGB", (last.width, last.height + step * (len(drawn) - 1)), _PAPER)
    for place, tiles in enumerate(drawn[:-1]):
        for tile, left in zip(tiles, frame.lefts, strict=True):
            picture.paste(tile, (left, _GAP + place * step))
    picture.paste(last, (0, step * (len(drawn) - 1)))
    return picture


def plane(
    patches: Sequence[Patch], axes: tuple[Axis, Axis], point: Sequence[float] | None = None
) -> Image.Image:
    """Return a map of two parameters that says what is proven where.

    Args:
        patches: painted in order over the colour ``OPEN``.
        axes: the one to the right, and the one upwards.
        point: of a counterexample, marked by a cross; both numbers in [0, 1].
    """
    font, (across, up) = ImageFont.load_default(12), axes
    left = 2 * _GAP + int(max(font.getlength(text) for text in (up.start, up.stop)))
    top, bottom = _GAP + _LINE, _GAP + _LINE + _PLANE
    picture = Image.new("RGB", (left + _PLANE + 2 * _GAP, bottom + 2 * _LINE + 3 * _GAP), _PAPER)
    canvas = ImageDraw.Draw(picture)
    for part in (Patch(0.0, 0.0, 1.0, 1.0, OPEN), *patches):
        ends = (left + part.left * _PLANE, bottom - part.top * _PLANE,
                left + part.right * _PLANE, bottom - part.bottom * _PLANE)  # fmt: skip
        canvas.rectangle(ends, fill=part.colour)
    if point is not None:
        _cross(canvas, left + point[0] * _PLANE, bottom - point[1] * _PLANE)
    for text, x, y, anchor in (
        (up.title, left, top - 4, "ls"), (up.stop, left - 6, top, "rt"), (up.start, left - 6, bottom, "rs"),
        (across.start, left, bottom + 4, "lt"), (across.stop, left + _PLANE, bottom + 4, "rt"),
        (across.title, left + _PLANE / 2, bottom + 4, "mt"),
    ):  # fmt: skip
        canvas.text((x, y), text, fill=_INK, font=font, anchor=anchor)
    _legend(canvas, bottom + _LINE + 2 * _GAP)
    return picture


def _cross(canvas: ImageDraw.ImageDraw, x: float, y: float) -> None:
    for slope in (-_MARK, _MARK):
        canvas.line((x - _MARK, y - slope, x + _MARK, y + slope), fill=_INK, width=2)


def _legend(canvas: ImageDraw.ImageDraw, top: int) -> None:
    """Say in words what the colours of the bar mean."""
    font, left = ImageFont.load_default(12), _GAP
    for colour, meaning in LEGEND:
        canvas.rectangle((left, top, left + _GAP, top + _GAP), fill=colour)
        canvas.text((left + 2 * _GAP, top - 2), meaning, fill=_INK, font=font)
        left += 4 * _GAP + int(font.getlength(meaning))


def _tile(image: Pixels, lower: float, upper: float, size: int = _TILE) -> Image.Image:
    """Return one image as RGB, enlarged by a whole factor so that small digits can be seen."""
    span = upper - lower if upper > lower else 1.0
    levels = np.rint(np.clip((image.astype(np.float64) - lower) / span, 0.0, 1.0) * 255).astype(np.uint8)
    colours = levels[:3] if levels.shape[0] > 1 else np.repeat(levels, 3, axis=0)
    picture = Image.fromarray(np.ascontiguousarray(colours.transpose(1, 2, 0)), "RGB")
    factor = max(1, size // max(picture.size))
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def _sizes(tiles: Sequence[Image.Image]) -> Sizes:
    return tuple(tile.size for tile in tiles)


def _widths(sizes: Sizes, captions: Sequence[str]) -> list[int]:
    """Return how wide the columns of a row are."""
    font = ImageFont.load_default(12)
    return [
        max(width, *(int(font.getlength(line)) + 1 for line in caption.split("\n")))
        for (width, _), caption in zip(sizes, captions, strict=True)
    ]


def _lefts(sizes: Sizes, captions: Sequence[str]) -> list[int]:
    """Return where the columns of a row begin."""
    ends = accumulate(width + _GAP for width in _widths(sizes, captions))
    return [_GAP, *(_GAP + end for end in ends)][:-1]


def _row(tiles: Sequence[Image.Image], captions: Sequence[str]) -> Image.Image:
    return _row_frame(_sizes(tiles), tuple(captions)).filled(tiles)


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """A row before its images are there: text takes most of the time, and all inputs of a job have the same.

    Attributes:
        picture: with captions and legend, never changed.
        lefts: where the columns begin.
    """

    picture: Image.Image
    lefts: tuple[int, ...]

    def filled(self, tiles: Sequence[Image.Image]) -> Image.Image:
        """Return a copy with the images in their places."""
        picture = self.picture.copy()
        for tile, left in zip(tiles, self.lefts, strict=True):
            picture.paste(tile, (left, _GAP))
        return picture


@lru_cache(maxsize=_FRAMES)
def _row_frame(sizes: Sizes, captions: tuple[str, ...]) -> _Frame:
    """Draw the captions under a row."""
    font = ImageFont.load_default(12)
    lines = max(caption.count("\n") + 1 for caption in captions)
    widths, lefts = _widths(sizes, captions), _lefts(sizes, captions)
    height = max(height for _, height in sizes)
    size = (sum(widths) + _GAP * (len(sizes) + 1), height + lines * _LINE + 3 * _GAP)
    picture = Image.new("RGB", size, _PAPER)
    canvas = ImageDraw.Draw(picture)
    for caption, left in zip(captions, lefts, strict=True):
        canvas.multiline_text((left, height + _GAP + 4), caption, fill=_INK, font=font, spacing=2)
    return _Frame(picture, tuple(lefts))


@lru_cache(maxsize=_FRAMES)
def _strip_frame(sizes: Sizes, captions: tuple[str, ...]) -> _Frame:
    """Draw the captions and the legend of a strip."""
    row = _row_frame(sizes, captions)
    picture = Image.new("RGB", (row.picture.width, row.picture.height + 4 * _GAP + _LINE), _PAPER)
    picture.paste(row.picture)
    _legend(ImageDraw.Draw(picture), row.picture.height + 3 * _GAP)
    return _Frame(picture, row.lefts)
