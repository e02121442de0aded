"""MNIST at the size of the study."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from torch.nn import functional

from experiments.images import samples


@dataclass(frozen=True, slots=True)
class Digits:
    """Images and what they show.

    Attributes:
        images: float32, shape (N, 1, 32, 32), in [0, 1].
        labels: int64, shape (N,).
    """

    images: Tensor
    labels: Tensor


def digits(path: Path) -> Digits:
    """Read an archive of 28 x 28 images and put two rows and columns of zeros around each."""
    found = samples(path)
    return Digits(functional.pad(found.images, (2, 2, 2, 2)), found.labels)
