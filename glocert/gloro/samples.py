"""What a network learns from, and what it is measured on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Inputs with what is wanted for them.

    Attributes:
        images: float32, raw units, shape (N, *input shape).
        labels: int64, shape (N,), or float32 probabilities, shape (N, classes).
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __post_init__(self) -> None:
        """Refuse labels that are not one per image.

        Raises:
            ValueError: there are more or fewer.
        """
        if len(self.images) != len(self.labels):
            raise ValueError(f"{len(self.images)} images have {len(self.labels)} labels")

    def __getitem__(self, chosen: Tensor) -> Samples:
        return Samples(self.images[chosen], self.labels[chosen])

    def to(self, device: torch.device | str) -> Samples:
        """Return the same on a device."""
        return Samples(self.images.to(device), self.labels.to(device))

    @property
    def classes(self) -> Tensor:
        """The wanted class of every image, int64, shape (N,)."""
        return self.labels.argmax(1) if self.labels.is_floating_point() else self.labels


def split(samples: Samples, share: float, seed: int) -> tuple[Samples, Samples]:
    """Return what is trained on and what is held out, disjoint, drawn at random.

    Args:
        samples: all there is.
        share: of it that is held out, in (0, 1); at least one sample lands on each side.
        seed: of the draw.

    Raises:
        ValueError: fewer than two samples, or another share.
    """
    if not 0 < share < 1:
        raise ValueError(f"a share of {share} cannot be held out")
    if len(samples) < 2:
        raise ValueError("one sample cannot be split")
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(seed))
    held = min(max(1, round(share * len(samples))), len(samples) - 1)
    return samples[order[held:].sort().values], samples[order[:held].sort().values]
