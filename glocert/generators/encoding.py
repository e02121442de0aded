"""Finding the code of an image: where in the latent space a mutation begins.

An encoder proposes a code where there is one; else the best of some codes of the prior. Both are refined by
Adam, several restarts side by side. What is minimised, per number of the image, the code or the edges::

    mean (G(z) - x)^2  +  edges mean (D G(z) - D x)^2  +  prior P(z)

Images count in widths of the domain. ``D`` takes differences of neighbouring pixels, along rows and columns:
a stand-in for a learned perceptual distance that needs no network. ``P`` is the mean square of a normal code.
Every step is projected on the prior's support. All of it is float64 on one image at a time, so that the same
seed gives the same code however a job is cut; the code that comes out is exact by definition, and nothing is
proven by how it was found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glocert.generators.prior import Prior
from glocert.generators.quality import psnr, ssim
from glocert.graph.ir import Graph
from glocert.graph.run import run
from glocert.paths.items import Float32
from glocert.paths.segment import Float64
from glocert.spec_latent import EncodingSpec

_NEAR = 0.1
"""deviation of the restarts about the first code"""
_LOOK, _GAIN = 50, 1e-2
"""steps between two looks, and the share by which the loss must have fallen since the last one"""
_NOTHING = 1e-14
"""loss below which nothing is left to gain, as where a style's encoder proposes the image itself"""
_IMAGE = 3
Objective = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A code and how well it stands for its image.

    Attributes:
        code: float64, flat.
        image: float64, what the generator makes of it, clamped to the domain.
        psnr: in decibels, of the domain's width; 100 at most.
        ssim: in [-1, 1]; ``None`` for what is no image.
        steps: that refinement took.
    """

    code: Float64
    image: Float64
    psnr: float
    ssim: float | None
    steps: int

    def to_json(self) -> dict[str, Any]:
        """Return the form that rows show."""
        return {"psnr": self.psnr, "ssim": self.ssim, "steps": self.steps}


class Encoder:
    """Finds codes for one generator.

    Args:
        picture: code -> image, before the clamp.
        proposes: image -> code, a network of any role with its preprocessing; ``None`` for none.
        prior: of the codes.
        domain: least and largest value of an image.
        spec: how hard to try.
    """

    def __init__(
        self,
        picture: Graph,
        proposes: Graph | None,
        prior: Prior,
        domain: tuple[float, float],
        spec: EncodingSpec,
    ) -> None:
        self._picture, self._proposes, self._prior = picture, proposes, prior
        self._domain, self._spec = domain, spec
        self._dimension = int(np.prod(picture.input_shape))
        self._loaded = {name: torch.from_numpy(array).double() for name, array in _weights(picture).items()}

    def encode(self, image: Float32) -> Encoded:
        """Return the best code that was found; the same for the same image and seed."""
        target = torch.from_numpy(image.astype(np.float64))
        random = np.random.default_rng(self._spec.seed)

        def objective(codes: Tensor) -> Tensor:
            return self._losses(codes, target)

        codes, steps = self._refined(self._starts(target, random, objective), objective)
        with torch.no_grad():
            losses = objective(codes)
        best = codes[int(losses.argmin())].numpy().copy()
        return self._shown(best, target, steps)

    def _starts(self, target: Tensor, random: np.random.Generator, objective: Objective) -> Tensor:
        """Return as many codes as there are restarts, the most promising first."""
        count = self._spec.restarts
        with torch.no_grad():
            if self._proposes is not None:
                found = run(self._proposes, target[None]).reshape(1, -1)
                spread = _NEAR * random.standard_normal((count, self._dimension))
                spread[0] = 0.0
                return self._prior.projected(found + torch.from_numpy(spread))
            drawn = self._prior.sample(max(self._spec.samples, count), self._dimension, random)
            codes = self._prior.projected(torch.from_numpy(drawn))
            order = torch.argsort(objective(codes), stable=True)
        return codes[order[:count]].clone()

    def _refined(self, codes: Tensor, objective: Objective) -> tuple[Tensor, int]:
        """Return the best codes on the way, and how many steps were taken."""
        leaf = codes.clone().requires_grad_()
        optimiser = torch.optim.Adam([leaf], lr=self._spec.rate)
        best, lowest = codes.clone(), torch.full((len(codes),), torch.inf, dtype=codes.dtype)
        before, step = float("inf"), 0
        for step in range(1, self._spec.steps + 1):
            losses = objective(leaf)
            better = losses.detach() < lowest
            best[better], lowest = leaf.detach()[better], torch.minimum(lowest, losses.detach())
            if float(lowest.min()) <= _NOTHING:
                break
            if step % _LOOK == 0:
                now = float(lowest.min())
                if not now < (1 - _GAIN) * before:
                    break
                before = now
            optimiser.zero_grad()
            (leaf.grad,) = torch.autograd.grad(losses.sum(), leaf)
            optimiser.step()
            with torch.no_grad():
                leaf.copy_(self._prior.projected(leaf))
        with torch.no_grad():
            last = objective(leaf)
            best[last < lowest] = leaf.detach()[last < lowest]
        return best, step

    def _losses(self, codes: Tensor, target: Tensor) -> Tensor:
        """Return what is minimised, for every row."""
        low, high = self._domain
        change = (self._images(codes) - target) / (high - low)
        losses = change.flatten(1).square().mean(1) + self._spec.prior_weight * self._prior.penalty(codes)
        if self._spec.edges and change.dim() == _IMAGE + 1:
            sums = [
                change.diff(dim=axis).flatten(1).square().mean(1) for axis in (2, 3) if change.shape[axis] > 1
            ]
            losses = losses + self._spec.edges * sum(sums, torch.zeros_like(losses))
        return losses

    def _images(self, codes: Tensor) -> Tensor:
        images = run(self._picture, codes.reshape(-1, *self._picture.input_shape), self._loaded)
        return images.clamp(*self._domain)

    def _shown(self, code: Float64, target: Tensor, steps: int) -> Encoded:
        low, high = self._domain
        with torch.no_grad():
            image = self._images(torch.from_numpy(code)[None])
        ours, theirs = ((part - low) / (high - low) for part in (image, target[None]))
        similar = float(ssim(ours, theirs)) if target.dim() == _IMAGE else None
        return Encoded(code, image[0].numpy(), float(psnr(ours, theirs)), similar, steps)


def _weights(graph: Graph) -> dict[str, np.ndarray[Any, Any]]:
    return {name: np.array(array) for name, array in graph.parameters.items()}
