"""Items of two images, of which the mutation changes the first and leaves the second as it is.

Networks that compare two images, such as face verification, take both in one input, one behind the other on
the channel axis. The path of such an item is the path of its first half, with the second half, exact, behind
every image of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from glocert.errors import InvalidSpec
from glocert.paths.items import Float32, Items
from glocert.paths.path import Enclosure, Loaded, Path
from glocert.paths.segment import Float64, Segment


class Fronts(Items):
    """A data set of pairs as the first images of them, for mutations that mix two items."""

    __slots__ = ()

    @classmethod
    def of(cls, items: Items) -> Fronts:
        """Return the first images of a data set."""
        return cls(items.stored, items.network_shape, items.preprocessing)

    def __getitem__(self, index: int) -> Float32:
        return halves(super().__getitem__(index))[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of every first image."""
        channels, *rest = super().shape
        return (channels // 2, *rest)


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A path with a constant image behind it, on the channel axis.

    Attributes:
        path: of the first image, any number of parameters.
        constant: float64, of the same shape but for the channels: the second image.
    """

    path: Path
    constant: Float64

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of both images together."""
        channels, *rest = self.path.shape
        return (channels + len(self.constant), *rest)

    @property
    def dimensions(self) -> int:
        """As many parameters as the path of the first image has."""
        return self.path.dimensions

    @property
    def joints(self) -> tuple[float, ...]:
        """Where pieces of that path meet."""
        return self.path.joints

    def at(self, t: Sequence[float]) -> Float64:
        """Return both images at ``t``."""
        return np.concatenate([self.path.at(t), self.constant])

    def loaded(self, device: torch.device) -> LoadedPair:
        """Return the path on a device."""
        constant = torch.tensor(self.constant, dtype=torch.float64, device=device)
        return LoadedPair(self.path.loaded(device), constant)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedPair:
    """A path and the constant behind it, on a device.

    Attributes:
        path: of the first image.
        constant: the second image.
    """

    path: Loaded
    constant: Tensor

    def enclose(self, middle: Tensor, half: Tensor) -> Enclosure:
        """Return the bounds of the first image, and behind them the second: no slope, no error."""
        front = self.path.enclose(middle, half)
        rows = front.error.shape[0]
        back = self.constant.new_zeros((len(front.lines), rows, *self.constant.shape))
        back[0] = self.constant
        error = torch.cat([front.error, torch.zeros_like(back[0])], 1)
        return Enclosure(torch.cat([front.lines, back], 2), error)


def halves(item: Float32) -> tuple[Float32, Float32]:
    """Return the first and the second image of an item.

    Raises:
        InvalidSpec: the item is no image, or has an odd number of channels.
    """
    if item.ndim != 3 or item.shape[0] % 2:
        raise InvalidSpec(
            f"paired: an item of shape {item.shape} does not hold two images, the channels of one behind "
            "those of the other"
        )
    middle = item.shape[0] // 2
    return item[:middle], item[middle:]


def paired(path: Path, constant: Float32) -> Path:
    """Return a path with a constant image behind it; a straight line stays one."""
    behind = constant.astype(np.float64)
    if not isinstance(path, Segment):
        return Pair(path, behind)
    return Segment(
        np.concatenate([path.start, behind]),
        np.concatenate([path.stop, behind]),
        np.concatenate([path.radius, np.zeros_like(behind)]),
    )
