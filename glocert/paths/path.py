"""What every mutation is to the engines: images over parameters in [0, 1], enclosed box by box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Enclosure:
    """First-order bounds of the images of many boxes of parameters, before any clamp.

    Row r stands for the box ``t_j = middle_j + half_j u_j``, u in [-1, 1]^k. For every u that stands for a t
    in [0, 1]^k, the exact image satisfies, coordinate by coordinate::

        | x(t) - (lines[0] + sum_j lines[1 + j] u_j) |  <=  error

    Attributes:
        lines: float64, shape (1 + k, rows, *shape): centre, then one slope per parameter.
        error: float64, shape (rows, *shape), >= 0; infinite or NaN where nothing is known.
    """

    lines: Tensor
    error: Tensor


class Loaded(Protocol):
    """A path whose numbers are on a device."""

    def enclose(self, middle: Tensor, half: Tensor) -> Enclosure:
        """Enclose the images of boxes of parameters.

        Args:
            middle: float64, shape (rows, k), on the path's device, in [0, 1].
            half: same shape, >= 0; ``middle + half u`` may leave [0, 1] a little by rounding.
        """
        ...


class Path(Protocol):
    """A family of images ``x(t)``, t in [0, 1]^k; the engines know nothing else about a mutation."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an image."""
        ...

    @property
    def dimensions(self) -> int:
        """How many parameters k there are."""
        ...

    @property
    def joints(self) -> tuple[float, ...]:
        """Parameters inside (0, 1), rising, at which a search should cut the path first; only where k = 1.

        Pieces of another kind meet there, or longer rows are enclosed loosely; always soundly.
        """
        ...

    def at(self, t: Sequence[float]) -> Float64:
        """Return the image at ``t``, k numbers in [0, 1], as float64 gives it: close, not proven."""
        ...

    def loaded(self, device: torch.device) -> Loaded:
        """Return the path on a device."""
        ...
