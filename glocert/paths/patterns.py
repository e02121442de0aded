"""Veils and noise made from a seed, the same on every machine and with every NumPy.

Only raw bits of PCG64 are used, which NumPy keeps stable, and only integer arithmetic until the last step.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod

import numpy as np
from numpy.random import PCG64
from numpy.typing import NDArray

from glocert.paths.segment import Float64

Int64 = NDArray[np.int64]
_ONE = 1 << 16
"""Levels of grey are integers in [0, _ONE]."""


@lru_cache(maxsize=16)
def signs(seed: int, shape: tuple[int, ...]) -> Float64:
    """Return a fixed pattern of -1 and +1.

    Args:
        seed: non-negative.
        shape: of the image domain.

    Returns:
        float64, read-only.
    """
    words = _words((seed,), -(-prod(shape) // 64)).astype("<u8")
    bits = np.unpackbits(words.view(np.uint8), bitorder="little")[: prod(shape)]
    return _frozen(bits.reshape(shape).astype(np.float64) * 2 - 1)


@lru_cache(maxsize=16)
def fog(seed: int, height: int, width: int) -> Float64:
    """Return clouds: four octaves of value noise, light grey from 0.6 to 1.

    Returns:
        float64 in [0.6, 1], shape (height, width), read-only; multiples of 2**-16.
    """
    octaves = [_value_noise((seed, octave), height, width, 2 << octave) >> octave for octave in range(4)]
    clouds = sum(octaves[1:], octaves[0]) * 8 // 15
    return _frozen((39322 + (clouds * 26214 >> 16)) / _ONE)


@lru_cache(maxsize=16)
def haze(seed: int, height: int, width: int) -> Float64:
    """Return a smooth veil that grows denser upwards, as with depth in a street scene.

    Returns:
        float64 in [0.6, 1], shape (height, width), read-only; multiples of 2**-16.
    """
    depth = (np.arange(height, dtype=np.int64)[::-1] * _ONE // max(1, height - 1))[:, None]
    swell = _value_noise((seed, 0), height, width, 2)
    return _frozen((39322 + (depth * 19660 >> 16) + (swell * 6554 >> 16)) / _ONE)


def _words(seed: tuple[int, ...], count: int) -> NDArray[np.uint64]:
    return np.asarray(PCG64(seed).random_raw(count), dtype=np.uint64)


def _value_noise(seed: tuple[int, int], height: int, width: int, cells: int) -> Int64:
    """Return random levels on a square lattice, joined by smooth steps: integers in [0, _ONE)."""
    lattice = (_words(seed, (cells + 1) ** 2) >> np.uint64(48)).astype(np.int64).reshape(cells + 1, cells + 1)
    row, down = _positions(height, cells)
    column, right = _positions(width, cells)
    above = _mix(lattice[row][:, column], lattice[row][:, column + 1], right[None, :])
    below = _mix(lattice[row + 1][:, column], lattice[row + 1][:, column + 1], right[None, :])
    return _mix(above, below, down[:, None])


def _positions(pixels: int, cells: int) -> tuple[Int64, Int64]:
    """Return each pixel centre's lattice cell and its smooth step 3f^2 - 2f^3 across the cell, in 1/256."""
    fixed = (2 * np.arange(pixels, dtype=np.int64) + 1) * (cells * 256) // (2 * pixels)
    share = fixed & 255
    return fixed >> 8, share * share * (768 - 2 * share) >> 16


def _mix(a: Int64, b: Int64, share: Int64) -> Int64:
    return a * (256 - share) + b * share >> 8


def _frozen(array: Float64) -> Float64:
    array.setflags(write=False)
    return array
