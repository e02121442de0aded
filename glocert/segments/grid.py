"""Inserting vertices into a block of curves that share one grid.

New parameters are stored as rounded float64 numbers, and the ratio of each inside its piece is recomputed
from the stored numbers: with s = (t* - t0) / (t1 - t0) in real arithmetic, the computed ratio is s (1 + 3u)
at worst however short the piece is, for the two differences and the quotient are rounded once each. The value
a + s (b - a) then takes three more roundings; in the two forms that ``torch.lerp`` may use, fused or not, the
result is off by less than 12 u max(|a|, |b|). Between neighbouring vertices the new model curve deviates from
the old one by no more than at those vertices, so charging ``CHARGE`` = 16 u of the extent covers every point
of the block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocert.segments.knots import Knots, host, interpolated
from glocert.segments.loops.grid import Places, merged, refined

_NONE = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
_LONG = 4096
_MANY = 8


@dataclass(frozen=True, slots=True)
class Grid:
    """The vertices of a block, old and new.

    Attributes:
        t: float64, shape (vertices,), strictly increasing.
        old: int64, position in ``t`` of each vertex that the block already has.
        new: int64, position in ``t`` of each inserted vertex.
        piece: int64, old piece in which each inserted vertex lies.
        share: float64, shape (inserted,), its ratio there.
    """

    t: Tensor
    old: Tensor
    new: Tensor
    piece: Tensor
    share: Tensor


def insert(t: Tensor, cuts: Tensor) -> Grid:
    """Plan the insertion of ``cuts`` (in any order, equal ones allowed) into the grid ``t``.

    Every cut lies strictly inside a piece of ``t``. The processor plans: these are short vectors.
    """
    arrays = merged(t.cpu().numpy(), np.sort(cuts.cpu().numpy()))
    if t.is_cpu:
        return Grid(*map(torch.from_numpy, arrays))
    return Grid(*(torch.from_numpy(array).to(t.device) for array in arrays))


def places(t: Tensor, grid: Grid | None) -> Places:
    """Return the refined grid ``t`` as ``loops.grid`` takes it; None: no vertex is new."""
    if grid is None:
        return t.numpy(), *_NONE
    return t.numpy(), host(grid.new), host(grid.piece), host(grid.share)


def ranges(pieces: int, most: int) -> Iterator[tuple[int, int]]:
    """Cut ``pieces`` into even runs of at most ``most``; yield the first and last vertex of each."""
    count = -(-pieces // max(most, 1))
    for part in range(count):
        yield pieces * part // count, pieces * (part + 1) // count


def refine(live: Mapping[str, Knots], grid: Grid, first: int, last: int) -> dict[str, Knots]:
    """Return the curves on the vertices ``first`` to ``last`` of the new grid, in fresh memory.

    The radius is charged for the interpolation wherever a vertex is new.
    """
    if first == 0 and last == len(grid.t) - 1:
        old, new = slice(0, len(grid.old)), slice(0, len(grid.new))
    else:
        old, new = _window(grid.old, first, last), _window(grid.new, first, last)
    return {name: _refined(x, grid, first, last, old, new) for name, x in live.items()}


def joins(t: Tensor) -> Tensor | None:
    """Return which pieces only lead from one path of a block to the next, shape (pieces,); None: none does.

    Several paths in one block have their parameters in [0, 1], [2, 3], [4, 5] and so on.
    """
    last = t.numpy()[-1] if t.is_cpu else t[-1].item()
    return (t[:-1] % 2 == 1) if last > 1 else None


def changes(states: Tensor, ignored: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return (piece, column) wherever two neighbouring rows of ``states`` differ.

    Args:
        states: shape (vertices, columns).
        ignored: pieces on which it does not matter, shape (pieces,).
    """
    differ = _changed(states, ignored)
    if differ.device.type == "cpu":  # NumPy finds few among many several times faster
        flat = torch.from_numpy(differ.numpy().ravel().nonzero()[0])
    else:
        flat = differ.view(-1).nonzero().squeeze(1)
    piece = torch.div(flat, differ.shape[1], rounding_mode="floor")
    return piece, flat - piece * differ.shape[1]


@dataclass(frozen=True, slots=True, eq=False)
class Crossings:
    """Where coordinates are on both sides of a level at the ends of a piece. NumPy, on the host.

    Attributes:
        piece: int64, shape (n,).
        column: int64, the coordinate.
        before: float64, its value at the start of the piece.
        after: at its stop.
    """

    piece: NDArray[np.int64]
    column: NDArray[np.int64]
    before: NDArray[np.float64]
    after: NDArray[np.float64]


def crossings(values: Tensor, level: float, ignored: Tensor | None = None) -> Crossings:
    """Return every piece and coordinate with one end below ``level`` and the other not.

    Args:
        values: shape (vertices, columns).
        level: a number.
        ignored: pieces that do not count, shape (pieces,).
    """
    width, flat = values.shape[1], values.reshape(-1)
    if values.device.type == "cpu":  # NumPy compares and finds several times faster
        numbers = values.numpy()
        below = numbers < level
        differ = below[1:] != below[:-1]
        if ignored is not None:
            differ &= ~ignored.numpy()[:, None]
        where, numbers = differ.ravel().nonzero()[0], flat.numpy()
        before, after = numbers[where], numbers[where + width]
    else:
        at = _changed(values < level, ignored).view(-1).nonzero().squeeze(1)
        where, before, after = (part.cpu().numpy() for part in (at, flat[at], flat[at + width]))
    piece = where // width
    return Crossings(piece, where - piece * width, before, after)


def _changed(states: Tensor, ignored: Tensor | None) -> Tensor:
    """Return where neighbouring rows differ, shape (pieces, columns)."""
    differ = states[1:] != states[:-1]
    if ignored is not None:
        differ &= ~ignored.unsqueeze(1)
    return differ


def _window(positions: Tensor, first: int, last: int) -> slice:
    """Return which of the sorted ``positions`` are in [first, last]."""
    ends = torch.tensor([first, last + 1], device=positions.device)
    start, stop = torch.searchsorted(positions, ends).tolist()
    return slice(start, stop)


def _refined(x: Knots, grid: Grid, first: int, last: int, old: slice, new: slice) -> Knots:
    if new.start == new.stop:
        return Knots(x.values[old].clone(), x.radius, *x.extent(), x.top)
    values = x.values.new_empty(last - first + 1, x.values.shape[1])
    if values.is_cpu:
        places = host(grid.new), host(grid.piece), host(grid.share)
        refined(host(x.values), places, (first, last), values.numpy())
        return interpolated(x, values)
    values.index_copy_(0, grid.old[old] - first, x.values[old])
    _interpolate(x.values, grid.piece[new], grid.share[new].unsqueeze(1), grid.new[new] - first, values)
    return interpolated(x, values)


def _interpolate(source: Tensor, piece: Tensor, share: Tensor, target: Tensor, out: Tensor) -> None:
    """Write the inserted rows, whole runs at once where a piece gets many or rows are long."""
    if source.shape[1] < _LONG and len(piece) < _MANY * (int(piece[-1] - piece[0]) + 1):
        rows = source.index_select(0, piece).lerp_(source.index_select(0, piece + 1), share)
        out.index_copy_(0, target, rows)
        return
    pieces, counts = torch.unique_consecutive(piece, return_counts=True)
    start = 0
    for left, count in zip(pieces.tolist(), counts.tolist(), strict=True):
        row = int(target[start])
        ratios = share[start : start + count]
        torch.lerp(source[left], source[left + 1], ratios, out=out[row : row + count])
        start += count
