"""Pictures of directions: some codes from top to bottom, the way along the direction from left to right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from glocert import pictures
from glocert.certification.mining_files import Quarry
from glocert.certification.mining_modes import Mined

_ROWS = 4
_SHARES = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""of the extent"""


def draw(
    quarry: Quarry, codes: Tensor, mined: Mined, about: Sequence[dict[str, Any]], out: Path
) -> list[str]:
    """Write a picture of every direction, note its name under ``preview``, and return the names.

    Data that is no grey or coloured image has no picture: ``preview`` is ``None``.
    """
    drawable = pictures.drawable(quarry.decoder.shape)
    names = []
    for place, one in enumerate(about):
        one["preview"] = None
        if not drawable:
            continue
        one["preview"] = f"direction-{place}.png"
        vector, extent = mined.found.vectors[place], float(mined.extents[place])
        _sheet(quarry, codes[:_ROWS], vector, extent, one["scale"]).save(out / one["preview"])
        names.append(one["preview"])
    return names


def _sheet(
    quarry: Quarry, codes: Tensor, vector: Tensor, extent: float, scale: dict[str, Any] | None
) -> Image:
    steps = [share * extent for share in _SHARES]
    rows = [
        quarry.decoder.images(torch.stack([code + step * vector for step in steps])).numpy() for code in codes
    ]
    lower, upper = quarry.domain
    captions = [_caption(step, scale) for step in steps]
    return pictures.sheet([list(row) for row in rows], captions, lower=lower, upper=upper)


def _caption(step: float, scale: dict[str, Any] | None) -> str:
    if scale is None:
        return f"{step:+.2f}" if step else "0"
    value = step * scale["per_latent"]
    return f"{value:+.3g} {scale['unit']}" if step else f"0 {scale['unit']}"
