"""Images of ``.npz`` archives as samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from glocert.gloro.samples import Samples


def samples(path: Path) -> Samples:
    """Read ``images`` (uint8, N x H x W[ x C]) and ``labels``; pixels in [0, 1], channels first."""
    with np.load(path) as archive:
        images = torch.from_numpy(archive["images"]).float().div(255)
        labels = torch.from_numpy(archive["labels"]).long()
    return Samples(images[:, None] if images.dim() == 3 else images.permute(0, 3, 1, 2).contiguous(), labels)
