"""How close a reconstruction is to its image."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

MOST_DB = 100.0
"""An exact copy has this signal-to-noise ratio: it stays a number that JSON can hold."""
_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def psnr(images: Tensor, others: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio of each pair in dB, at most ``MOST_DB``.

    Args:
        images: in [0, 1], shape (N, *item shape).
        others: same shape.

    Returns:
        Shape (N,).
    """
    error = (images - others).flatten(1).square().mean(1)
    return (-10 * torch.log10(error.clamp_min(1e-30))).clamp(max=MOST_DB)


def ssim(images: Tensor, others: Tensor) -> Tensor:
    """Return the structural similarity of each pair of images in [0, 1], 1 for equal ones.

    Gaussian windows of 11 x 11 pixels and deviation 1.5, only where they lie inside; smaller ones for smaller
    images. Mean over windows and channels.

    Args:
        images: shape (N, channels, height, width).
        others: same shape.

    Returns:
        Shape (N,).

    Source: Wang, Bovik, Sheikh & Simoncelli, IEEE Transactions on Image Processing 2004.
    """
    side = min(_WINDOW, *(size - 1 + size % 2 for size in images.shape[2:]))
    steps = torch.arange(side, dtype=images.dtype, device=images.device) - side // 2
    bell = torch.exp(-((steps / _SIGMA) ** 2) / 2)
    bell = bell / bell.sum()
    kernel = (bell[:, None] * bell)[None, None]

    def mean(x: Tensor) -> Tensor:
        return functional.conv2d(x.flatten(0, 1)[:, None], kernel)

    x, y = mean(images), mean(others)
    xx, yy, xy = mean(images * images) - x * x, mean(others * others) - y * y, mean(images * others) - x * y
    similar = ((2 * x * y + _C1) * (2 * xy + _C2)) / ((x * x + y * y + _C1) * (xx + yy + _C2))
    return similar.view(len(images), -1).mean(1)
