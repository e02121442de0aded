"""Explicit mutations of whole batches: every image gets a parameter of its own.

The formulas are those of ``glocert.paths``, in float32; tests compare them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from glocert.paths import patterns
from glocert.paths.blur import shifts
from glocert.spec import NEUTRAL
from glocert.spec_ranges import EXPLICIT, Ranges

Mutate = Callable[[Tensor, Tensor], Tensor]
Parameters = dict[str, Tensor]
_REACH = 4
"""A blur's kernel ends at so many sigmas."""


def varied(images: Tensor, ranges: Ranges, generator: torch.Generator) -> Tensor:
    """Return every image mutated by random parameters of each range, one mutation after the other.

    Args:
        images: float32 in [0, 1], shape (N, channels, height, width), any device.
        ranges: which mutations, and how far.
        generator: of the CPU, so that a run draws the same on every device.
    """
    return applied(images, parameters(ranges, len(images), generator))


def parameters(ranges: Ranges, count: int, generator: torch.Generator) -> Parameters:
    """Return random parameters of every range: mutation -> what ``drawn`` returns, in order."""
    return {name: drawn(name, ranges, count, generator) for name in EXPLICIT if name in ranges.ends}


def applied(images: Tensor, values: Parameters) -> Tensor:
    """Return images after every mutation, one after the other."""
    for name, value in values.items():
        images = mutated(images, name, value)
    return images


def drawn(name: str, ranges: Ranges, count: int, generator: torch.Generator) -> Tensor:
    """Return random parameters of one mutation, shape (count,); of a translation (count, 2)."""
    start, stop = ranges.ends[name]
    shape = (count, 2) if name == "translation" else (count,)
    if not ranges.endpoints:
        return start + (stop - start) * torch.rand(shape, generator=generator)
    levels = torch.tensor([start, NEUTRAL.get(name, 0.0), stop])
    return levels[torch.randint(0, 3, shape, generator=generator)]


def mutated(images: Tensor, name: str, values: Tensor, *, seed: int = 0, about: float = 0.5) -> Tensor:
    """Return images after one mutation, clamped to [0, 1].

    Args:
        images: float32, shape (N, channels, height, width).
        name: one of ``EXPLICIT``.
        values: one parameter per image, in the mutation's unit; of a translation right and down, (N, 2).
        seed: of the veil or the pattern.
        about: level that a contrast keeps.
    """
    values = values.to(images)
    if name in {"rotation", "scaling", "shear", "translation"}:
        return _moved(images, _maps(name, values)).clamp(0.0, 1.0)
    if name == "blur":
        return _blurred(images, values)
    value = values.view(-1, 1, 1, 1)
    if name == "brightness":
        found = images + value
    elif name == "contrast":
        found = about + value * (images - about)
    elif name == "noise":
        found = images + value * _constant(patterns.signs(seed, tuple(images.shape[1:])), images)
    else:
        make = {"fog": patterns.fog, "haze": patterns.haze}[name]
        veil = _constant(make(seed, *images.shape[2:]), images)
        found = (1 - value) * images + value * veil
    return found.clamp(0.0, 1.0)


def _constant(array: object, like: Tensor) -> Tensor:
    return torch.tensor(array, dtype=like.dtype, device=like.device)


def _maps(name: str, values: Tensor) -> Tensor:
    """Return where each output pixel looks, from the centre: (N, 2, 3), as ``glocert.paths.motions``."""
    count = len(values)
    maps = torch.zeros(count, 2, 3, dtype=values.dtype, device=values.device)
    maps[:, 0, 0] = maps[:, 1, 1] = 1.0
    if name == "rotation":
        angle = values * (math.pi / 180)
        maps[:, 0, 0] = maps[:, 1, 1] = torch.cos(angle)
        maps[:, 0, 1], maps[:, 1, 0] = -torch.sin(angle), torch.sin(angle)
    elif name == "scaling":
        maps[:, 0, 0] = maps[:, 1, 1] = 1 / values
    elif name == "shear":
        maps[:, 0, 1] = values
    else:
        maps[:, :, 2] = -values
    return maps


def _moved(images: Tensor, maps: Tensor) -> Tensor:
    """Sample every image where its map says, bilinear, zero outside."""
    height, width = images.shape[2:]
    scale = torch.tensor([2 / width, 2 / height], dtype=images.dtype, device=images.device)
    normal = maps.clone()
    normal[:, :, 2] *= scale
    normal[:, 0, 1] *= height / width
    normal[:, 1, 0] *= width / height
    grid = functional.affine_grid(normal, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def _blurred(images: Tensor, sigmas: Tensor) -> Tensor:
    """Blur every image by a Gaussian of its own width, borders reflected."""
    reach = max(1, math.ceil(_REACH * float(sigmas.max())))
    steps = torch.arange(reach + 1, dtype=images.dtype, device=images.device)
    wide = sigmas.clamp_min(1e-3)[:, None]
    bell = torch.exp(-((steps / wide) ** 2) / 2)
    bell = bell / (bell[:, :1] + 2 * bell[:, 1:].sum(1, keepdim=True))
    rows, columns = (
        torch.einsum("nr,rij->nij", bell, _constant(shifts(int(size), reach), images))
        for size in images.shape[2:]
    )
    return rows[:, None] @ images @ columns[:, None].mT
