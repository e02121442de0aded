"""Bring the items of a data set to the image domain in which mutations act.

The image domain is ``(channels, height, width)``, or ``(features,)`` for data without rows and columns. Which
axis of a stored item is which follows from the network's input shape and ``Preprocessing.layout``:

============== ================================ ==========================================================
stored item    network's input                  image domain
============== ================================ ==========================================================
(H, W)         any                              (1, H, W)
(a, b, c)      (a, b, c)                        the network's own order: NCHW as it is, NHWC transposed
(H, W, C)      (C, H, W)                        transposed
(C, H, W)      (H, W, C)                        as it is
(a, b, c)      no image                         the channels are the last axis where it has 1, 3 or 4
                                                elements, else the first one
(D,) or (D, 1) an image of D elements           unrolled in the network's own order
(D,) or (D, 1) anything else                    (D,), no image: only mutations that need no rows
============== ================================ ==========================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocert.errors import InvalidSpec
from glocert.spec import Preprocessing

Float32 = NDArray[np.float32]
_CHANNELS = frozenset({1, 3, 4})
_LAST, _FIRST = (2, 0, 1), (0, 1, 2)


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How stored items are rearranged: reshape to ``stored``, then permute the axes by ``perm``."""

    stored: tuple[int, ...]
    perm: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape in the image domain."""
        return tuple(self.stored[axis] for axis in self.perm)


def arrangement(item_shape: Sequence[int], network_shape: Sequence[int], layout: str) -> Arrangement:
    """Decide how items of one shape become images; see the module's table.

    Args:
        item_shape: of one stored item.
        network_shape: per-sample input shape of the network.
        layout: ``NCHW`` or ``NHWC``, of the network.

    Raises:
        InvalidSpec: the item has no or more than three axes, or its channels cannot be told from its rows.
    """
    item, network = tuple(item_shape), _image_shape(network_shape, layout)
    if len(item) == 2 and item[1] != 1:
        return Arrangement((1, *item), _FIRST)
    if len(item) == 3:
        return Arrangement(item, _channels_first(item, network, layout))
    if len(item) not in {1, 2}:
        raise InvalidSpec(f"items of shape {item} are neither images nor rows of features")
    if network is None or prod(network) != prod(item):
        return Arrangement((prod(item),), (0,))
    return Arrangement(network, _LAST if layout == "NHWC" else _FIRST)


def to_image_domain(
    item: NDArray[Any], network_shape: Sequence[int], preprocessing: Preprocessing
) -> Float32:
    """Bring one stored item to the image domain.

    Args:
        item: uint8 or float32, any shape of the module's table.
        network_shape: per-sample input shape of the network.
        preprocessing: ``scale`` divides integers by 255 in float32; floats are taken as they are.

    Returns:
        float32, ``(channels, height, width)`` or ``(features,)``; the exact start of the path.

    Raises:
        InvalidSpec: see ``arrangement``.
    """
    how = arrangement(item.shape, network_shape, preprocessing.layout)
    values = np.array(item, dtype=np.float32)  # a copy: the data set is a read-only memory map
    if preprocessing.scale and np.issubdtype(item.dtype, np.integer):
        values = values / np.float32(255)
    return np.ascontiguousarray(values.reshape(how.stored).transpose(how.perm))


@dataclass(frozen=True, slots=True)
class Items:
    """The data set as images of the domain, read one at a time from a memory map.

    Attributes:
        stored: uint8 or float32, first axis = item.
        network_shape: per-sample input shape of the network.
        preprocessing: how a stored item becomes an image.
    """

    stored: NDArray[Any]
    network_shape: tuple[int, ...]
    preprocessing: Preprocessing

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, index: int) -> Float32:
        if not 0 <= index < len(self.stored):
            raise InvalidSpec(f"item {index} does not exist: the data set has {len(self.stored)} items")
        return to_image_domain(self.stored[index], self.network_shape, self.preprocessing)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of every item in the image domain."""
        return arrangement(self.stored.shape[1:], self.network_shape, self.preprocessing.layout).shape


def _image_shape(network_shape: Sequence[int], layout: str) -> tuple[int, ...] | None:
    """Return the network's input as an image of rank 3, if it is one."""
    shape = tuple(network_shape)
    if len(shape) == 3:
        return shape
    if len(shape) == 2 and 1 not in shape:
        return (*shape, 1) if layout == "NHWC" else (1, *shape)
    return None


def _channels_first(item: tuple[int, ...], network: tuple[int, ...] | None, layout: str) -> tuple[int, ...]:
    """Return the permutation that brings ``item`` to (channels, height, width)."""
    own, other = (_LAST, _FIRST) if layout == "NHWC" else (_FIRST, _LAST)
    if network is not None:
        wanted = Arrangement(network, own).shape
        for perm in (own, other):
            if Arrangement(item, perm).shape == wanted:
                return perm
    if item[2] in _CHANNELS:
        return _LAST
    if item[0] in _CHANNELS:
        return _FIRST
    raise InvalidSpec(
        f"no axis of items of shape {item} has 1, 3 or 4 elements: channels cannot be told from rows"
    )
