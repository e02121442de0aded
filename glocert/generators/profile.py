"""Measures of a finished generator: how continuous it is, and how well it rebuilds what it has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glocert.generators import continuity
from glocert.generators.continuity import Map
from glocert.generators.quality import psnr, ssim

STEP = 0.05
"""Length of a step, as a share of the spread of the codes."""
QUANTILES = (0.01, 0.05, 0.5, 0.95, 0.99)
SAMPLES, MATRICES = 2048, 32
"""Codes whose gains are measured, and those whose Jacobian is."""
_BLOCK = 256
_DEAD = 1e-6
"""A gain of this share of the largest is as good as none: an index must stay a number."""


@dataclass(frozen=True, slots=True, eq=False)
class Where:
    """Where continuity is measured.

    Attributes:
        codes: z, shape (N, *code).
        others: the far ends of pairs, same shape.
        directions: u, unit vectors, same shape.
        spread: root mean square of a number of a code.
        axes: orthonormal columns that span the directions that count, shape (numbers of a code, k).
    """

    codes: Tensor
    others: Tensor
    directions: Tensor
    spread: float
    axes: Tensor


def everywhere(codes: Tensor, draw: torch.Generator) -> Where:
    """Return codes with pairs among them and directions drawn evenly from all."""
    spread = float(codes.square().mean().sqrt())
    axes = torch.eye(codes[0].numel()).to(codes)
    return Where(codes, codes.roll(1, 0), continuity.directions_like(codes, draw), spread, axes)


@torch.no_grad()
def profile(generator: Map, where: Where, draw: torch.Generator) -> dict[str, Any]:
    """Measure the continuity of a generator.

    Args:
        generator: G.
        where: N >= 1000 codes make the quantiles steady; the first ``MATRICES`` of them get a Jacobian.
        draw: of the shares at which straightness is measured.

    Returns:
        ``samples``, ``step``, ``scale`` (geometric mean of the gains), ``gain`` (quantiles), ``upper`` and
        ``lower`` (q99/q50 and q50/q1), ``index`` (the larger), ``residual`` (norm of R over the distance of
        the ends, means of both), ``singular_values`` (smallest, largest, and how many Jacobians). Ratios end
        at ``1 / _DEAD``, which stands for dead stretches.
    """
    step = STEP * where.spread
    share = torch.rand(len(where.codes), generator=draw).to(where.codes)
    found, bent, apart = [], [], []
    for part in range(0, len(where.codes), _BLOCK):
        rows = slice(part, part + _BLOCK)
        codes, others = where.codes[rows], where.others[rows]
        found.append(
            continuity.gains(
                generator, codes, where.directions[rows], torch.full((len(codes),), step).to(codes)
            )
        )
        bent.append(continuity.norms(continuity.residual(generator, codes, others, share[rows])))
        apart.append(continuity.norms(generator(codes) - generator(others)))
    gain = torch.cat(found).double()
    low, _, middle, _, high = levels = torch.quantile(gain, torch.tensor(QUANTILES).to(gain)).tolist()
    least = max(_DEAD * high, 1e-30)
    upper, lower = high / max(middle, least), max(middle, least) / max(low, least)
    return {
        "samples": len(gain),
        "step": step,
        "scale": float(gain.clamp_min(1e-30).log().mean().exp()),
        "gain": {f"{quantile:g}": level for quantile, level in zip(QUANTILES, levels, strict=True)},
        "upper": upper,
        "lower": lower,
        "index": max(upper, lower),
        "residual": float(torch.cat(bent).mean()) / max(float(torch.cat(apart).mean()), 1e-30),
        "singular_values": _singular(generator, where),
    }


def _singular(generator: Map, where: Where) -> dict[str, Any]:
    """Return the extreme singular values of the Jacobian, on the span of ``axes``."""
    codes = where.codes[:MATRICES]
    columns = [
        continuity.pushed(generator, codes, axis.view(1, *codes.shape[1:]).expand_as(codes).contiguous())
        for axis in where.axes.T
    ]
    values = torch.linalg.svdvals(torch.stack(columns, -1).flatten(1, -2).double())
    return {"samples": len(codes), "smallest": float(values.min()), "largest": float(values.max())}


@torch.no_grad()
def reconstruction(images: Tensor, rebuilt: Tensor) -> dict[str, Any]:
    """Return how well images are rebuilt.

    Returns:
        ``images``, ``psnr_db`` (mean, and the level that nineteen of twenty reach), ``ssim`` (mean),
        ``at_least_20_db`` (share).
    """
    ratio, similar = psnr(images, rebuilt).double(), ssim(images, rebuilt).double()
    return {
        "images": len(images),
        "psnr_db": {"mean": float(ratio.mean()), "0.05": float(ratio.quantile(0.05))},
        "ssim": float(similar.mean()),
        "at_least_20_db": float((ratio >= 20).double().mean()),
    }
