"""Continuity of a generator G: no jumps, no dead stretches. Terms to train with, and measures afterwards.

With ``r(z, u, e) = |G(z + e u) - G(z)| / e``, u a unit vector, the gain of G along u, continuity asks for
``1 / C <= r / a <= C`` for a scale a. All norms are Euclidean, of the whole image.

The interpolation residual is ``R = G((1 - g) z1 + g z2) - ((1 - g) G(z1) + g G(z2))``: zero for every affine
G. It bounds curvature only; the band on the gain is what rules out jumps and dead stretches.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Map = Callable[[Tensor], Tensor]
_TINY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """Where G is evaluated, in one batch for all terms: statistics over the batch are the same in each.

    Attributes:
        first: codes z1, shape (N, *code).
        second: codes z2, same shape.
        share: g per sample, in [0, 1], shape (N,).
        start: codes z that gains are measured at, shape (M, *code).
        directions: u, unit vectors, same shape.
        steps: e > 0, shape (M,).
    """

    first: Tensor
    second: Tensor
    share: Tensor
    start: Tensor
    directions: Tensor
    steps: Tensor

    @property
    def moved(self) -> Tensor:
        """The codes z + e u."""
        return self.start + per_sample(self.steps, self.start) * self.directions


def per_sample(numbers: Tensor, like: Tensor) -> Tensor:
    """Return one number per sample so that it broadcasts against a batch."""
    return numbers.view(-1, *[1] * (like.dim() - 1))


def mixed(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Return ``(1 - g) first + g second``, sample by sample."""
    part = per_sample(share, first)
    return (1 - part) * first + part * second


@dataclass(frozen=True, slots=True, eq=False)
class Probed:
    """What one pass over a probe found.

    Attributes:
        first: G(z1), shape (N, *image).
        second: G(z2), same shape.
        middle: G of the code between them, same shape.
        residual: R, same shape.
        gains: r, shape (M,).
    """

    first: Tensor
    second: Tensor
    middle: Tensor
    residual: Tensor
    gains: Tensor


def probed(generator: Map, probe: Probe) -> Probed:
    """Evaluate G at all points of a probe, in one batch."""
    between = mixed(probe.first, probe.second, probe.share)
    points = (probe.first, probe.second, between, probe.start, probe.moved)
    images = torch.split(generator(torch.cat(points)), [len(part) for part in points])
    one, other, middle, here, there = images
    bent = middle - mixed(one, other, probe.share)
    return Probed(one, other, middle, bent, norms(there - here) / probe.steps)


def residual(generator: Map, first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Return R of pairs of codes, shape (N, *image)."""
    middle = mixed(first, second, share)
    between, one, other = generator(torch.cat([middle, first, second])).chunk(3)
    return between - mixed(one, other, share)


def norms(images: Tensor) -> Tensor:
    """Return the Euclidean norm of each sample, with a gradient that is finite at zero."""
    return (images.flatten(1).square().sum(1) + _TINY**2).sqrt()


def gains(generator: Map, codes: Tensor, directions: Tensor, steps: Tensor) -> Tensor:
    """Return ``r(z, u, e)``, shape (N,), by differences.

    Args:
        generator: G.
        codes: z, shape (N, *code).
        directions: u, unit vectors, same shape.
        steps: e > 0, shape (N,).
    """
    moved = codes + per_sample(steps, codes) * directions
    here, there = generator(torch.cat([codes, moved])).chunk(2)
    return norms(there - here) / steps


def pushed(generator: Map, codes: Tensor, directions: Tensor) -> Tensor:
    """Return ``J u`` of each sample, shape (N, *image), by forward differentiation."""
    change: Tensor = torch.func.jvp(generator, (codes,), (directions,))[1]
    return change


def slopes(generator: Map, codes: Tensor, directions: Tensor) -> Tensor:
    """Return ``|J u|``, shape (N,): the gain in the limit, by forward differentiation."""
    return norms(pushed(generator, codes, directions))


def pulled(generator: Map, codes: Tensor, cotangents: Tensor) -> Tensor:
    """Return ``J^T y`` of each sample, shape of ``codes``, through which gradients flow.

    With y drawn from N(0, I) over the pixels, the mean of ``|J^T y|^2`` is the squared Frobenius norm of J.
    """
    inputs = codes if codes.requires_grad else codes.detach().requires_grad_()
    with torch.enable_grad():
        images = generator(inputs)
        (found,) = torch.autograd.grad(images, inputs, cotangents, create_graph=True)
    return found


def stretches(generator: Map, codes: Tensor, directions: Tensor, rounds: int = 4) -> tuple[Tensor, Tensor]:
    """Return estimates from below of the largest singular value of J, and the directions of the last round.

    Power iteration on J^T J, from directions that an earlier call left or random ones.

    Args:
        generator: G.
        codes: z, shape (N, *code).
        directions: where the iteration begins, unit vectors, same shape.
        rounds: of it.
    """
    with torch.no_grad():
        for _ in range(rounds):
            change = pushed(generator, codes, directions).detach()
            back = pulled(generator, codes, change).detach()
            directions = back / per_sample(norms(back), codes)
    return slopes(generator, codes, directions), directions


@dataclass(slots=True)
class Band:
    """The band ``[a / C, a C]`` about the running geometric mean a of the gains.

    What changes all gains alike costs nothing: a has the gradient of the mean of the batch. Otherwise a band
    that lags behind would hold back every generator whose gains still have to grow.

    Attributes:
        bound: C > 1.
        decay: of the running mean of the logarithm.
        mean: that mean; ``None`` before the first gains.
    """

    bound: float
    decay: float = 0.9
    mean: float | None = None

    def terms(self, up: Tensor, low: Tensor) -> tuple[Tensor, Tensor]:
        """Return the means of ``max(0, log r - log aC)^2`` and ``max(0, log a - log Cr)^2``; moves a.

        Args:
            up: gains that must not be above the band.
            low: gains that must not be below it; a follows them.
        """
        above, below = (part.clamp_min(_TINY).log() for part in (up, low))
        centre, width = below.mean(), math.log(self.bound)
        now = float(centre.detach())
        self.mean = now if self.mean is None else self.decay * self.mean + (1 - self.decay) * now
        centre = self.mean + (centre - centre.detach())
        return (
            (above - (centre + width)).clamp_min(0).square().mean(),
            ((centre - width) - below).clamp_min(0).square().mean(),
        )


def directions_like(codes: Tensor, generator: torch.Generator) -> Tensor:
    """Return one random unit vector per code, drawn on the CPU."""
    draw = torch.randn(codes.shape, generator=generator).to(codes)
    return draw / per_sample(norms(draw), codes)
