"""The spectral norm of a convolution at the size of its input.

*Polyphase.* Sorting the cells of the padded input by their residue modulo the stride is an isometry. Output
cell o reads the padded cells ``o s + u d = s (o + q) + r`` with ``q = u d div s`` and ``r = u d mod s``, so a
strided, dilated convolution is one of stride one over ``s`` phases per axis with taps at the offsets q.

*Torus.* A phase of a padded axis of length P has at most ``ceil(P / s)`` cells. On a torus with at least
so many cells per axis no output that the layer keeps reads across the border. The layer is therefore the
circular convolution, restricted to inputs that are zero in the padding and projected to the outputs that
exist, and its norm is at most the largest norm of the frequency blocks ``K(f) = sum_q w_q exp(2 pi i
f.q)``. This needs no symmetry of kernel or padding. Every sufficient size of the torus gives a valid
bound; the smallest counts.

*Blocks.* A complex block X + iY has the norm of the real matrix [[X, -Y], [Y, X]], whose Gram matrix is
bounded by ``spectrum.largest`` for all frequencies at once. Frequencies f and -f are conjugate, so half
of them is enough. What cosines, sines and sums may lose is bounded entry by entry and added as a
Frobenius norm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.lipschitz.dense import lifted, normalised, square_root
from glocert.lipschitz.roots import ERROR as ROOT_ERROR
from glocert.lipschitz.roots import roots_of_unity
from glocert.lipschitz.spectrum import largest
from glocert.rounding import TINY, dot, grow

_BYTES = 2**28


@dataclass(frozen=True, slots=True)
class Window:
    """Geometry of a convolution over an image.

    Attributes:
        size: height and width of the input.
        strides: of both axes.
        pads: top, left, bottom, right.
        dilations: of both axes.
        group: of channels.
    """

    size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)
    group: int = 1

    def cells(self, axis: int) -> int:
        """Return the cells of one phase of the padded axis."""
        return -(-(self.size[axis] + self.pads[axis] + self.pads[axis + 2]) // self.strides[axis])

    def taps(self, axis: int, kernel: int) -> tuple[Tensor, Tensor]:
        """Return offset q and phase r of every tap along an axis."""
        reach = torch.arange(kernel) * self.dilations[axis]
        return reach // self.strides[axis], reach % self.strides[axis]


def torus_bound(weight: Tensor, window: Window) -> float:
    """Return a proven upper bound on the norm of a zero-padded convolution, by its circular extension.

    Args:
        weight: float64, shape (outputs, inputs / group, kernel height, kernel width), exact.
        window: geometry.
    """
    if not bool(weight.any()):
        return 0.0
    if not bool(torch.isfinite(weight).all()):
        return math.inf
    scaled, exponent = normalised(weight)
    least = (window.cells(0), window.cells(1))
    found = min(_on_torus(scaled, window, (least[0] + more, least[1] + more)) for more in (0, 1))
    return lifted(found * grow(2) + weight.numel() * TINY, exponent)


def _on_torus(weight: Tensor, window: Window, torus: tuple[int, int]) -> float:
    """Return the bound for one size of the torus."""
    rows = _transform(weight, window, torus)
    blocks, terms = torus[0] * (torus[1] // 2 + 1), weight.shape[2] * weight.shape[3]
    mass = _mass(weight, window)
    entry = (dot(4 * terms + 8) + 8 * ROOT_ERROR) * grow(16)
    error = (
        square_root(2.0)
        * entry
        * math.sqrt(float(mass.square().sum(dim=(-2, -1)).max()))
        * grow(mass.numel())
    )
    upper = 0.0
    step = max(1, _BYTES // (64 * min(rows.shape[-2:]) ** 2 * rows.shape[0]))
    for start in range(0, blocks, step):
        part = rows[:, start : start + step]
        gram, lost = _gram(part)
        upper = max(upper, square_root(largest(gram, lost)))
    return (upper + error) * grow(2)


def _transform(weight: Tensor, window: Window, torus: tuple[int, int]) -> Tensor:
    """Return the frequency blocks, complex128, shape (group, frequencies, outputs, inputs x phases)."""
    q, r = zip(*(window.taps(axis, weight.shape[axis + 2]) for axis in (0, 1)), strict=True)
    waves = [_waves(torus[axis], q[axis], half=axis == 1) for axis in (0, 1)]
    outputs = weight.shape[0] // window.group
    grouped = weight.reshape(window.group, outputs, *weight.shape[1:]).to(torch.complex128)
    parts = []
    for top in range(window.strides[0]):
        rows = (r[0] == top).nonzero().flatten()
        for left in range(window.strides[1]):
            columns = (r[1] == left).nonzero().flatten()
            if len(rows) and len(columns):
                taps = grouped[..., rows, :][..., columns]
                parts.append(
                    torch.einsum("goiuv,fu,hv->gfhoi", taps, waves[0][:, rows], waves[1][:, columns])
                )
    joined = torch.cat(parts, -1)
    return joined.reshape(window.group, -1, outputs, joined.shape[-1])


def _waves(size: int, offsets: Tensor, *, half: bool) -> Tensor:
    """Return ``exp(2 pi i f q / size)``, shape (frequencies, taps); arguments are reduced exactly."""
    frequencies = torch.arange(size // 2 + 1 if half else size)
    return roots_of_unity(size)[frequencies[:, None] * offsets[None] % size]


def _mass(weight: Tensor, window: Window) -> Tensor:
    """Return the sums of absolute taps that meet in one entry of a block, shape (group, outputs, n)."""
    outputs = weight.shape[0] // window.group
    grouped = weight.abs().reshape(window.group, outputs, *weight.shape[1:])
    return (
        grouped.sum(dim=(-2, -1))[..., None].expand(*grouped.shape[:3], math.prod(window.strides)).flatten(2)
    )


def _gram(blocks: Tensor) -> tuple[Tensor, float]:
    """Return the real Gram matrices of complex blocks on their smaller side, and how far off they may be."""
    tall = blocks if blocks.shape[-2] >= blocks.shape[-1] else blocks.mH
    real, imaginary = tall.real, tall.imag
    wide = torch.cat([torch.cat([real, -imaginary], -1), torch.cat([imaginary, real], -1)], -2)
    square = float(wide.square().sum(dim=(-2, -1)).max()) * grow(wide.shape[-1] * wide.shape[-2])
    lost = dot(wide.shape[-2]) * square * grow(8) + wide.shape[-2] * wide.shape[-1] * TINY
    return wide.mT @ wide, lost
