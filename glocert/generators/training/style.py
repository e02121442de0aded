"""Styles: an image and a strength s in [0, 1] become an image; identity at s = 0, the target at s = 1.

The network is ``S(x, s) = clamp(x + P(x, s) - P(x, 0))`` with P a convolutional network that sees s as one
more channel: the identity at s = 0 is exact, by construction, for every image in [0, 1].

A code is the image and the strength behind it, ``(x, s)`` as one row of numbers; so the encoder of a style
adds a zero, and the mutation is the last unit vector, up to an extent of 1.

The target is an explicit mutation: S learns from pairs. Or it is another data set: S learns from a critic,
and a second network finds the way back.

Source: Zhu, Park, Isola & Efros, ICCV 2017 (cycle consistency).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocert.generators.continuity import Probe
from glocert.generators.profile import STEP, Where
from glocert.generators.training import architectures
from glocert.generators.training.augmentation import mutated, varied
from glocert.generators.training.chain import Shape, array, emitter
from glocert.generators.training.gan import BETAS, criticised
from glocert.generators.training.learner import Learner, Rows
from glocert.generators.training.painter import Painter, full, joined
from glocert.generators.training.terms import Parts, Subject, steps
from glocert.graph.builder import GraphBuilder
from glocert.graph.ir import Graph
from glocert.graph.limits import Limits
from glocert.graph.values import Activation, Constant
from glocert.spec import NEUTRAL, Mutation
from glocert.spec_generator import Recipe


class Style(Learner):
    """A painter, and what it learns from: pairs, or a critic with a way back."""

    turn: Tensor

    def __init__(self, recipe: Recipe, shape: Shape, targets: Tensor | None = None) -> None:
        super().__init__(recipe, shape)
        if (targets is None) == (recipe.mutation is None):
            raise ValueError("a style is a mutation or the images of another data set, one of the two")
        self.painter, self.targets = Painter(recipe, shape), targets
        learning = [self.painter]
        if targets is not None:
            self.back = Painter(recipe, shape)
            self.register_buffer("turn", torch.zeros((), dtype=torch.int64))
            self.critics = nn.ModuleList(architectures.critic(2 * recipe.width, shape) for _ in range(2))
            self.optimisers["critics"] = torch.optim.Adam(
                self.critics.parameters(), lr=recipe.rate, betas=BETAS
            )
            learning.append(self.back)
        weights = chain.from_iterable(part.parameters() for part in learning)
        self.optimisers["painter"] = torch.optim.Adam(weights, lr=recipe.rate, betas=BETAS)

    @property
    def code_shape(self) -> Shape:
        """An image and its strength."""
        return (math.prod(self.shape) + 1,)

    @property
    def prior(self) -> str:
        """All numbers of a code lie in [0, 1]: inside the support of the uniform prior."""
        return "uniform"

    @property
    def about_codes(self) -> str:
        """Not drawn at all."""
        return "A code is an image, row by row, and behind it the strength from 0 to 1."

    def step(self, images: Tensor, draw: torch.Generator) -> Parts:
        """Learn the target at full strength, and to be continuous in the strength."""
        images = self.varied(images, draw)
        if self.targets is None:
            return self._follow(images, draw)
        others = self._others(len(images), draw)
        parts = self._judge(images, others, draw)
        self.turn += 1
        if int(self.turn) % self.recipe.critic_steps == 0:
            parts |= self._paint(images, others, draw)
        return parts

    def _follow(self, images: Tensor, draw: torch.Generator) -> Parts:
        """Let the painter learn from pairs."""
        asked = self._probe(images, draw)
        found, parts = self.terms.add(self._subject, asked, draw)
        parts = {"target": functional.mse_loss(found.second, self.target(images, 1.0)), **parts}
        if not self.recipe.endpoints:
            wanted = self.target(images, asked.share)
            parts["between"] = functional.mse_loss(found.middle, wanted)
        return self.descend("painter", parts)

    def _paint(self, images: Tensor, others: Tensor, draw: torch.Generator) -> Parts:
        """Let the painter and its way back learn from both critics and both round trips."""
        found, parts = self.terms.add(self._subject, self._probe(images, draw), draw)
        return self.descend("painter", {**self._cycle(images, others, found.second), **parts})

    @property
    def _subject(self) -> Subject:
        return Subject(self.painter.learning, self.painter, self.painter)

    def _probe(self, images: Tensor, draw: torch.Generator) -> Probe:
        """Return pairs of no and full strength, and gains along the strength alone."""
        count = len(images)
        lengths = steps(count, draw).to(images)
        at = torch.rand(2, count, generator=draw).to(images)
        along = torch.zeros(count, *self.code_shape).to(images)
        along[:, -1] = 1.0
        none, full = torch.zeros(count).to(images), torch.ones(count).to(images)
        start = joined(images, at[1] * (1 - lengths))
        return Probe(joined(images, none), joined(images, full), at[0], start, along, lengths)

    def target(self, images: Tensor, strength: Tensor | float) -> Tensor:
        """Return images after so much of the mutation that is learned."""
        assert self.recipe.mutation is not None
        return painted(images, self.recipe.mutation, strength)

    def _others(self, count: int, draw: torch.Generator) -> Tensor:
        assert self.targets is not None
        chosen = self.targets[torch.randint(0, len(self.targets), (count,), generator=draw)]
        return varied(chosen.to(next(self.parameters()).device), self.recipe.ranges, draw)

    def _judge(self, images: Tensor, others: Tensor, draw: torch.Generator) -> Parts:
        """Let both critics learn: of images with the style, and of images without it."""
        with torch.no_grad():
            there, back = self.painter(full(images)), self.back(full(others))
        parts: Parts = {}
        for critic, real, made in zip(self.critics, (others, images), (there, back), strict=True):
            for name, part in criticised(critic, real, made, self.recipe.penalty, draw).items():
                parts[f"critic {name}"] = parts.get(f"critic {name}", torch.zeros_like(part)) + part
        return self.descend("critics", parts)

    def _cycle(self, images: Tensor, others: Tensor, there: Tensor) -> Parts:
        """Return what the painter and its way back answer for: both critics, both round trips."""
        back = self.back.learning(full(others))
        round_trip = functional.l1_loss(self.back.learning(full(there)), images) + functional.l1_loss(
            self.painter.learning(full(back)), others
        )
        score = -self.critics[0](there).mean() - self.critics[1](back).mean()
        return {"critics": score, "cycle": self.recipe.cycle * round_trip}

    def rebuilt(self, images: Tensor) -> Tensor:
        """Return the target's reconstruction where there are pairs, else the way there and back."""
        if self.targets is not None:
            return self.back(full(self.painter(full(images))))  # type: ignore[no-any-return]
        return self.painter(full(images))  # type: ignore[no-any-return]

    def wanted(self, images: Tensor) -> Tensor:
        """Return what ``rebuilt`` is compared with."""
        return images if self.targets is not None else self.target(images, 1.0)

    def decoded(self, codes: Tensor) -> Tensor:
        """Return the images of codes."""
        return self.painter(codes)  # type: ignore[no-any-return]

    def measured(self, images: Tensor, count: int, draw: torch.Generator) -> Where:
        """Return images at random strengths, and the strength as the only direction."""
        chosen = images[torch.randint(0, len(images), (2, count), generator=draw).to(images.device)]
        low, high = torch.rand(2, count, generator=draw).to(images)
        codes, others = joined(chosen[0], low * (1 - STEP)), joined(chosen[0], high)
        along = torch.zeros_like(codes)
        along[:, -1] = 1.0
        return Where(codes, others, along, 1.0, along[:1].T)

    def sheet(self, images: Tensor, draw: torch.Generator) -> Rows:  # noqa: ARG002 - it needs no codes
        """Return images at rising strengths, and the target where there are pairs."""
        levels = [0.0, 0.25, 0.5, 0.75, 1.0]
        strengths = [torch.full((len(images),), level).to(images) for level in levels]
        rows = [
            (f"strength {level:g}", self.painter(joined(images, strength)))
            for level, strength in zip(levels, strengths, strict=True)
        ]
        return [*rows, ("the target", self.target(images, 1.0))] if self.targets is None else rows

    def graphs(self) -> tuple[Graph, Graph]:
        """Return the painter, and the encoder that adds a strength of zero."""
        builder = GraphBuilder.start("image", self.shape, Limits())
        size = math.prod(self.shape)
        row = emitter(builder, "row", "Flatten").add(
            "Reshape", (Activation(builder.input, self.shape),), {"shape": (size,)}
        )
        nothing = Constant(array(torch.zeros(1)), "nothing")
        code = emitter(builder, "code", "Concat").add("Concat", (row, nothing), {"axis": 0})
        return self.painter.graph(), builder.finish(code.name)


def painted(images: Tensor, mutation: Mapping[str, Any], strength: Tensor | float) -> Tensor:
    """Return images after a share of a mutation, from unchanged at 0.

    Args:
        images: float32 in [0, 1], shape (N, channels, height, width).
        mutation: as JSON.
        strength: in [0, 1], one or one per image.
    """
    asked = Mutation.from_json(mutation)
    share = torch.as_tensor(strength).to(images).expand(len(images))
    if asked.type == "translation":
        way = torch.tensor([float(asked.options["x"]), float(asked.options["y"])]).to(images)
        values = share[:, None] * way
    else:
        neutral = NEUTRAL.get(asked.type, 0.0)
        values = neutral + share * (asked.stop - neutral)
    seed, about = int(asked.options.get("seed", 0)), float(asked.options.get("about", 0.5))
    return mutated(images, asked.type, values, seed=seed, about=about)
