"""The generators of faces that the study compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from experiments.study import faces
from experiments.study.generators import Generator
from experiments.study.habits import tensors
from glocert.spec_generator import Continuity, Recipe

_SHORT = Recipe(
    latent_dim=48, width=16, batch=64, rate=2e-3, last_rate=2e-5, epochs=12,
    continuity=Continuity(up=0.05, low=0.05, interpolation=0.1),
)  # fmt: skip
RECIPES: Mapping[str, Recipe] = {
    "short": _SHORT,
    "short, narrow band": replace(
        _SHORT, continuity=Continuity(bound=1.1, up=0.1, low=0.1, interpolation=0.1)
    ),
    "long": replace(_SHORT, epochs=48),
}
"""Name -> recipe; the last is what recognition is asked about."""


def trained(name: str, count: int, folder: Path) -> Generator:
    """Train a generator on faces, or read what the same call made before.

    Attributes of the pictures are drawn evenly over their ranges: what a generator has not seen, it has no
    direction for.

    Args:
        name: one of ``RECIPES``.
        count: faces, of as many people.
        folder: where its files are kept.
    """
    recipe, rng = RECIPES[name], np.random.default_rng(1)
    images = tensors(faces.People.drawn(count, rng), faces.Look.drawn(count, rng))
    file = f"faces-{name.replace(', ', '-').replace(' ', '-')}-{count}-{recipe.epochs}"
    return Generator.trained(file, recipe, images, folder)
