"""How much of a mutation a generator contains, and how far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from experiments.study.generators import Generator
from glocert.generators.decoder import Decoder
from glocert.generators.directions.velocity import STEPS, Motion
from glocert.generators.jacobian import jacobians
from glocert.generators.quality import psnr

SHARES = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
"""Of the extent that a generator learned, at which it is measured."""


def explained(generator: Generator, codes: Tensor, velocities: Tensor) -> float:
    """Return the share of velocities that steps of the code make, each code with a step of its own.

    That is ``1 - |J v - e|^2 / |e|^2`` for the best v, squares added up over the codes.

    Args:
        generator: G; pictures smaller than the velocities are enlarged, bilinear.
        codes: float64, shape (n, d).
        velocities: e, float64, shape (n, C, H, W).
    """
    rest = whole = 0.0
    shape = generator.picture.output_shape
    for slopes, velocity in zip(jacobians(Decoder(generator.picture), codes), velocities, strict=True):
        images = resized(slopes.view(-1, *shape), velocity.shape[-1]).flatten(1)
        step = torch.linalg.lstsq(images.T, velocity.flatten()[:, None], driver="gelsd").solution
        rest += float((images.T @ step - velocity.flatten()[:, None]).square().sum())
        whole += float(velocity.square().sum())
    return 1.0 - rest / whole


def resized(images: Tensor, side: int) -> Tensor:
    """Return square pictures, shape (N, C, H, H), enlarged or shrunk to so many rows; linear in them."""
    if images.shape[-1] == side:
        return images
    if images.shape[-1] % side == 0:
        return functional.avg_pool2d(images, images.shape[-1] // side)
    return functional.interpolate(images, size=(side, side), mode="bilinear", align_corners=False)


def mutants(motion: Motion, images: Tensor, change: float) -> Tensor:
    """Return images after a mutation by ``change`` from neutral, in [0, 1], float64."""
    return motion.to(images.double(), change).clamp(0.0, 1.0)


def velocities(motion: Motion, images: Tensor, change: float) -> Tensor:
    """Return how fast images change per unit of a mutation after ``change`` of it, clamped pictures."""
    step = STEPS[motion.mutation.type]
    return (mutants(motion, images, change + step) - mutants(motion, images, change - step)) / (2 * step)


def reached(generator: Generator, motion: Motion, images: Tensor, extent: float, floor: float) -> float:
    """Return the largest change up to which mutants are rebuilt to at least ``floor`` dB on average.

    Args:
        generator: with its encoder.
        motion: the mutation.
        images: float32, shape (N, C, H, W).
        extent: the change that is 1 in ``SHARES``; between them the signal-to-noise ratio is interpolated.
        floor: in dB.
    """
    shares = (0.0, *SHARES)
    found = [_rebuilt(generator, mutants(motion, images, share * extent)) - floor for share in shares]
    return extent * crossing(shares, found)


def crossing(places: Sequence[float], values: Sequence[float]) -> float:
    """Return where values, joined by straight lines, become negative first; the first place at the least."""
    for at in range(len(places)):
        if values[at] < 0:
            if at == 0:
                return places[0]
            share = values[at - 1] / (values[at - 1] - values[at])
            return float(places[at - 1] + share * (places[at] - places[at - 1]))
    return float(places[-1])


def halfway(generator: Generator, motion: Motion, images: Tensor, extent: float) -> Mapping[str, float]:
    """Return signal-to-noise ratios, mean in dB, against the true mutants.

    Returns:
        ``end``: of the rebuilt mutant; ``middle``: of the middle of the segment between the codes of image
        and mutant, against half the mutation; ``rebuilt``: of half the mutation, rebuilt; ``blend``: of the
        mean of the pixels of image and mutant, for comparison.
    """
    whole, half = (mutants(motion, images, share * extent) for share in (1.0, 0.5))
    middle = generator.images((generator.codes(images) + generator.codes(whole)) / 2)
    return {
        "end": _rebuilt(generator, whole),
        "middle": _mean(middle, half),
        "rebuilt": _rebuilt(generator, half),
        "blend": _mean((images.double() + whole) / 2, half),
    }


def rebuilding(generator: Generator, images: Tensor) -> float:
    """Return the mean signal-to-noise ratio of rebuilt images, dB."""
    return _rebuilt(generator, images.double())


def _rebuilt(generator: Generator, images: Tensor) -> float:
    return _mean(generator.images(generator.codes(images)), images)


def _mean(made: Tensor, wanted: Tensor) -> float:
    return float(np.mean(psnr(made, wanted).numpy()))
