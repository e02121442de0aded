"""The picture of what every attribute's path does to a face."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from experiments.study.attributes import ATTRIBUTES, chords
from experiments.study.generators import Generator
from experiments.study.verification import Anchors
from glocert import pictures

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "study-faces.png"
TIMES = (0.0, 0.25, 0.5, 0.75, 1.0)
_LARGER = 2
_GREY = 0.5


def draw(generator: Generator, anchors: Anchors, which: int = 0, file: Path = PICTURE) -> None:
    """Write one row per attribute: the picture on its path, the painter's mutant, and the change.

    Args:
        generator: of the paths.
        anchors: faces.
        which: of them.
        file: PNG that is written.
    """
    rows = []
    for attribute in ATTRIBUTES:
        before, after = anchors.images[which : which + 1], anchors.mutated(attribute)[which : which + 1]
        start, stop = chords(generator, before, after)
        made = generator.images(torch.cat([start + t * (stop - start) for t in TIMES])).numpy()
        path = (before.numpy() + made - made[0]).clip(0, 1)
        change = path[-1] - path[0]
        difference = _GREY + _GREY * change / max(float(np.abs(change).max()), 1e-9)
        shown = [*path, after.numpy()[0], difference]
        larger = [image.repeat(_LARGER, 1).repeat(_LARGER, 2) for image in shown]
        rows.append((f"{attribute.name}: path from t = 0 to 1, drawn mutant, change along the path", larger))
    file.parent.mkdir(parents=True, exist_ok=True)
    pictures.rows(rows).save(file, optimize=True)
