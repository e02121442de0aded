"""Random variants of images: moved, mirrored, turned and resized, each image by itself."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from glocert.gloro.recipe import Recipe


def varied(images: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Return a random variant of every image as a recipe asks for; what comes into view is zero.

    Args:
        images: float32, shape (N, channels, height, width), any device; of other ranks they stay as they are.
        recipe: ``shift``, ``flip``, ``rotate``, ``zoom``.
        generator: of the CPU, so that a run draws the same on every device.
    """
    if images.dim() != 4:
        return images
    if recipe.rotate or recipe.zoom:
        images = warped(images, recipe.rotate, recipe.zoom, recipe.shift, generator)
    elif recipe.shift:
        images = shifted(images, recipe.shift, generator)
    if recipe.flip:
        mirrored = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
        images = torch.where(mirrored.to(images.device), images.flip(3), images)
    return images


def shifted(images: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Return each image moved by up to ``most`` pixels along both axes, zeros outside."""
    count, _, height, width = images.shape
    padded = functional.pad(images, (most,) * 4)
    moves = torch.randint(0, 2 * most + 1, (2, count, 1), generator=generator).to(images.device)
    rows = moves[0] + torch.arange(height, device=images.device)
    columns = moves[1] + torch.arange(width, device=images.device)
    each = torch.arange(count, device=images.device)[:, None, None]
    return padded[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def warped(images: Tensor, rotate: float, zoom: float, shift: int, generator: torch.Generator) -> Tensor:
    """Return each image turned, resized and moved by random amounts, with bilinear interpolation.

    Args:
        images: shape (N, channels, height, width).
        rotate: largest angle, degrees.
        zoom: largest share by which sizes change, up or down.
        shift: largest move, pixels.
        generator: of the CPU.
    """
    draws = 2 * torch.rand(4, len(images), generator=generator) - 1
    angle = draws[0] * math.radians(rotate)
    scale = 1 / (1 + draws[1] * zoom)
    height, width = images.shape[2:]
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    across, down = draws[2] * 2 * shift / width, draws[3] * 2 * shift / height
    rows = [
        torch.stack([cosine, -sine * height / width, across], 1),
        torch.stack([sine * width / height, cosine, down], 1),
    ]
    maps = torch.stack(rows, 1).to(images.device)
    grid = functional.affine_grid(maps, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)
