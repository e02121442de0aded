"""The network of a style: an image and a strength become an image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from glocert.generators.training import architectures
from glocert.generators.training.chain import Inward, Shape, clamp, emitter
from glocert.graph.builder import GraphBuilder
from glocert.graph.ir import Graph
from glocert.graph.limits import Limits
from glocert.graph.values import Activation, Constant
from glocert.spec_generator import Recipe


class Painter(nn.Module):
    """``S(x, s)`` on rows of numbers: an image, and its strength behind it."""

    def __init__(self, recipe: Recipe, shape: Shape) -> None:
        super().__init__()
        self.shape, self.size = shape, math.prod(shape)
        self.inner = architectures.painter(recipe, shape)

    def raw(self, codes: Tensor) -> Tensor:
        """Return the images before the clamp."""
        images = codes[:, :-1].reshape(-1, *self.shape)
        plane = torch.zeros_like(images[:, :1])
        there = self.inner(torch.cat([images, plane + codes[:, -1, None, None, None]], 1))
        changed: Tensor = images + (there - self.inner(torch.cat([images, plane], 1)))
        return changed

    def forward(self, codes: Tensor) -> Tensor:
        """Return the images of codes."""
        return self.raw(codes).clamp(0.0, 1.0)

    def learning(self, codes: Tensor) -> Tensor:
        """Return the same with the gradient that a loss learns by."""
        return Inward.apply(self.raw(codes))  # type: ignore[no-untyped-call, no-any-return]

    def graph(self) -> Graph:
        """Return the network as an inert graph on codes."""
        builder = GraphBuilder.start("code", (self.size + 1,), Limits())
        code = Activation(builder.input, (self.size + 1,))
        image = _picked(builder, code, range(self.size), self.shape, "image")
        sides = (1, *self.shape[1:])
        strength = _picked(builder, code, [self.size] * math.prod(sides), sides, "strength")
        nothing = Constant(np.zeros(sides, np.float32), "nothing")
        there, here = (
            self.inner.write(
                builder,
                emitter(builder, f"{name}input", "Concat").add("Concat", (image, plane), {"axis": 0}),
                name,
            )
            for name, plane in (("at.", strength), ("zero.", nothing))
        )
        change = emitter(builder, "change", "Sub").add("Sub", (there, here))
        return builder.finish(
            clamp(builder, emitter(builder, "sum", "Add").add("Add", (image, change)), "pixels").name
        )


def joined(images: Tensor, strength: Tensor) -> Tensor:
    """Return codes: rows of an image and a strength, shape (N, size + 1)."""
    return torch.cat([images.flatten(1), strength[:, None]], 1)


def full(images: Tensor) -> Tensor:
    """Return the codes of images at full strength."""
    return joined(images, torch.ones(len(images)).to(images))


def _picked(
    builder: GraphBuilder, code: Activation, places: Sequence[int], shape: Shape, name: str
) -> Activation:
    row = emitter(builder, f"{name}.row", "Slice").add(
        "Gather", (code,), {"axis": 0, "indices": tuple(places)}
    )
    return emitter(builder, name, "Reshape").add("Reshape", (row,), {"shape": shape})
