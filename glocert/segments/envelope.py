"""The largest of several lines, as a function of t: its corners on one piece."""

from __future__ import annotations

import torch
from torch import Tensor


def corners(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Follow the upper envelope of many bundles of lines from ratio 0 to ratio 1.

    The envelope of lines is convex: slopes increase along it, so the next line is the one of larger slope
    that is met first, and of several met together the steepest. At the start the largest wins, of equals the
    steepest. Nothing is proven about the corners: whoever uses them charges the deviation.

    Args:
        left: shape (bundles, lines), values at ratio 0; -inf marks a line that does not exist.
        right: same shape, values at ratio 1.

    Returns:
        For every corner its bundle, its ratio in [0, 1) and the line that takes over; and for every bundle
        the line that it starts with.
    """
    slope = torch.where(left.isneginf(), -torch.inf, right - left)
    active = _first(left, slope)
    start, bundle = active.clone(), torch.arange(len(left), device=left.device)
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for _ in range(left.shape[1] - 1):
        ratio, line = _next(left, slope, active)
        ahead = (ratio < 1).nonzero().squeeze(1)
        if not len(ahead):
            break
        left, slope, bundle = left[ahead], slope[ahead], bundle[ahead]
        active = line[ahead]
        found.append((bundle, ratio[ahead].clamp(min=0), active))
    if not found:
        empty = bundle.new_empty(0)
        return empty, left.new_empty(0), empty, start
    bundles, ratios, lines = (torch.cat(parts) for parts in zip(*found, strict=True))
    return bundles, ratios, lines, start


def _first(left: Tensor, slope: Tensor) -> Tensor:
    """Return the line that wins at ratio 0."""
    leading = left == left.amax(1, keepdim=True)
    return torch.where(leading, slope, -torch.inf).argmax(1)


def _next(left: Tensor, slope: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the active line is overtaken, and by which line; infinity where it is not."""
    own = active.unsqueeze(1)
    steeper = slope > slope.gather(1, own)
    ratio = (left.gather(1, own) - left) / (slope - slope.gather(1, own))
    ratio = torch.where(steeper, ratio, torch.inf)
    nearest = ratio.amin(1, keepdim=True)
    return nearest.squeeze(1), torch.where(steeper & (ratio == nearest), slope, -torch.inf).argmax(1)
