"""Filters that are rendered: weather in front of a picture, and a picture as a painter would have it.

Drops and flakes are drawn from a seed, so that every filter is one fixed function of the picture.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Floats = NDArray[np.float64]
_FINE = 4
"""Samples per pixel and axis of what is drawn."""
_GREY = (0.299, 0.587, 0.114)
"""Of red, green and blue in a level of grey."""


def rain(images: Tensor, *, seed: int = 0, drops: float = 0.03, length: float = 9.0) -> Tensor:
    """Draw streaks of rain, slanted and half transparent, and darken the scene by a fifth.

    Args:
        images: float32 in [0, 1], shape (N, channels, height, width).
        seed: of the places.
        drops: streaks per pixel.
        length: of a streak, in pixels.

    Returns:
        Same shape.
    """
    height, width = images.shape[2:]
    rng, along = np.random.default_rng(seed), np.linspace(0.0, length, int(4 * _FINE * length))
    count = round(drops * height * width)
    y, x = rng.uniform(-length, height, count), rng.uniform(-4.0, width + 4.0, count)
    points = np.stack([y[:, None] + along, x[:, None] + 0.3 * along]).reshape(2, -1)
    veil = 0.55 * _drawn(points, 0.5, height, width)
    return _under(0.8 * images, veil, 0.75)


def snow(images: Tensor, *, seed: int = 0, flakes: float = 0.06) -> Tensor:
    """Draw round white flakes of half a pixel to two pixels in radius.

    Args:
        images: float32 in [0, 1], shape (N, channels, height, width).
        seed: of places and sizes.
        flakes: per pixel.

    Returns:
        Same shape.
    """
    height, width = images.shape[2:]
    rng = np.random.default_rng(seed)
    count = round(flakes * height * width)
    y, x, radius = rng.uniform(0, height, count), rng.uniform(0, width, count), rng.uniform(0.5, 1.6, count)
    cover = np.zeros((height, width))
    for one in range(count):
        flake = _drawn(np.array([[y[one]], [x[one]]]), radius[one], height, width)
        cover = np.maximum(cover, 0.9 * flake)
    return _under(images, cover, 1.0)


def ink(images: Tensor, *, levels: int = 4) -> Tensor:
    """Paint in a few flat tones with dark outlines.

    Args:
        images: float32 in [0, 1], shape (N, channels, height, width).
        levels: tones of every channel.

    Returns:
        Same shape.
    """
    flat = (images * (levels - 1)).round() / (levels - 1)
    grey = _grey(images)
    down = functional.pad(grey, (1, 1, 1, 1), mode="replicate")
    slope_y = down[:, :, 2:, 1:-1] - down[:, :, :-2, 1:-1]
    slope_x = down[:, :, 1:-1, 2:] - down[:, :, 1:-1, :-2]
    outline = (4 * (slope_x.square() + slope_y.square()).sqrt() - 0.6).clamp(0, 1)
    return flat * (1 - outline)


def mosaic(images: Tensor, *, tile: int = 4) -> Tensor:
    """Lay square tiles of one colour each, with dark seams.

    Args:
        images: float32 in [0, 1], shape (N, channels, height, width); both sides are multiples of ``tile``.
        tile: side of a tile in pixels.

    Returns:
        Same shape.
    """
    colours = functional.avg_pool2d(images, tile).repeat_interleave(tile, 2).repeat_interleave(tile, 3)
    height, width = (torch.arange(size) % tile == 0 for size in images.shape[2:])
    seams = height[:, None] | width[None, :]
    return torch.where(seams, 0.6 * colours, colours)


def _grey(images: Tensor) -> Tensor:
    """Return levels of grey, shape (N, 1, height, width)."""
    if images.shape[1] == 1:
        return images
    return (images * torch.tensor(_GREY).to(images)[:, None, None]).sum(1, keepdim=True)


def _under(images: Tensor, cover: Floats, level: float) -> Tensor:
    """Return pictures under something of one level of grey that covers so much of every pixel."""
    share = torch.from_numpy(cover).to(images)
    return ((1 - share) * images + share * level).clamp(0, 1)


def _drawn(points: Floats, radius: float, height: int, width: int) -> Floats:
    """Return how much of every pixel lies within a radius of points (y, x), shape (2, N)."""
    fine = np.zeros((height * _FINE, width * _FINE), dtype=bool)
    reach = int(np.ceil(radius * _FINE))
    steps = np.arange(-reach, reach + 1)
    inside = np.argwhere(steps[:, None] ** 2 + steps**2 <= (radius * _FINE) ** 2) - reach
    places = np.rint(points.T * _FINE).astype(int)[:, None] + inside
    kept = ((places >= 0) & (places < fine.shape)).all(2)
    fine[tuple(places[kept].T)] = True
    return np.asarray(fine.reshape(height, _FINE, width, _FINE).mean(axis=(1, 3)))
