"""A learner of the family that a recipe names."""

from __future__ import annotations

import torch
from torch import Tensor

from glocert.generators.training.architectures import fits
from glocert.generators.training.autoencoder import Autoencoder
from glocert.generators.training.chain import Shape
from glocert.generators.training.gan import Adversary
from glocert.generators.training.learner import Learner
from glocert.generators.training.style import Style
from glocert.spec_generator import Recipe


def learner(recipe: Recipe, shape: Shape, targets: Tensor | None = None) -> Learner:
    """Return an untrained learner; its weights follow from the recipe's seed alone.

    Args:
        recipe: how it will be trained.
        shape: (channels, height, width).
        targets: images of the style, float32 in [0, 1], shape (N, *shape); only where it is another data set.

    Raises:
        ValueError: the images are too small, or the targets belong to no style.
    """
    fits(recipe, shape)
    if targets is not None and recipe.family != "style":
        raise ValueError("only a style has the images of another data set for its target")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        if recipe.family == "style":
            return Style(recipe, shape, targets)
        return Adversary(recipe, shape) if recipe.family == "gan" else Autoencoder(recipe, shape)
