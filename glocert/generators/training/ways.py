"""From one variant of an image to another: parameters of explicit mutations change evenly."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.generators.continuity import per_sample
from glocert.generators.training.augmentation import Parameters, applied, parameters
from glocert.spec_ranges import Ranges


@dataclass(frozen=True, slots=True, eq=False)
class Ways:
    """From one variant of an image to another.

    Attributes:
        images: shape (N, channels, height, width).
        start: parameters of the first variants.
        stop: of the second ones.
    """

    images: Tensor
    start: Parameters
    stop: Parameters

    @classmethod
    def drawn(cls, images: Tensor, ranges: Ranges, draw: torch.Generator) -> Ways:
        """Draw both ends at random."""
        first, second = (parameters(ranges, len(images), draw) for _ in range(2))
        return cls(images, first, second)

    def at(self, share: Tensor) -> Tensor:
        """Return the variants whose parameters lie so far between those of the ends, shape of ``images``."""
        part = share.cpu()
        between = {
            name: torch.lerp(start, self.stop[name], per_sample(part, start).expand_as(start))
            for name, start in self.start.items()
        }
        return applied(self.images, between)
