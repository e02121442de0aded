"""What every family of generators can do while it is trained."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from glocert.generators.profile import Where, everywhere
from glocert.generators.training.augmentation import varied
from glocert.generators.training.chain import Shape
from glocert.generators.training.terms import Parts, Terms
from glocert.graph.ir import Graph
from glocert.spec_generator import Recipe

Rows = list[tuple[str, Tensor]]
Optimisers = dict[str, torch.optim.Adam]
GENERATOR, ENCODER = "generator", "encoder"
"""Phases of a training."""


class Learner(nn.Module):
    """A generator and its encoder under training, with whatever else that needs.

    Attributes:
        recipe: how it is trained.
        shape: (channels, height, width) of an image.
        terms: of continuity.
        optimisers: by name; their state is part of a checkpoint.
        phase: what is under way: ``generator``, or ``encoder`` of families that fit it afterwards.
    """

    def __init__(self, recipe: Recipe, shape: Shape) -> None:
        super().__init__()
        self.recipe, self.shape = recipe, shape
        self.terms = Terms(recipe.continuity)
        self.optimisers: Optimisers = {}
        self.phase = GENERATOR

    @property
    def code_shape(self) -> Shape:
        """Shape of a code."""
        return (self.recipe.latent_dim,)

    @property
    def prior(self) -> str:
        """How codes are distributed: ``normal`` or ``uniform`` on [-1, 1]."""
        return self.recipe.prior

    @property
    def spreads(self) -> Tensor | None:
        """Standard deviations of normal codes, shape (d,); ``None``: all are 1."""
        return None

    @property
    def about_codes(self) -> str:
        """What the numbers of a code are, one sentence."""
        raise NotImplementedError

    def step(self, images: Tensor, draw: torch.Generator) -> Parts:
        """Learn from one batch, in place; return the parts of the loss, detached.

        Args:
            images: as they are in the data, an even number of them; the recipe says how they are varied.
            draw: of the CPU: everything random comes from it.
        """
        raise NotImplementedError

    def varied(self, images: Tensor, draw: torch.Generator) -> Tensor:
        """Return images varied by random parameters, as the recipe asks for."""
        return varied(images, self.recipe.ranges, draw)

    def rebuilt(self, images: Tensor) -> Tensor:
        """Return images after encoder and generator."""
        raise NotImplementedError

    def wanted(self, images: Tensor) -> Tensor:
        """Return what ``rebuilt`` is compared with."""
        return images

    def decoded(self, codes: Tensor) -> Tensor:
        """Return the images of codes, as the finished generator has them."""
        raise NotImplementedError

    def codes(self, count: int, draw: torch.Generator) -> Tensor:
        """Return codes from the prior."""
        raise NotImplementedError

    def measured(self, images: Tensor, count: int, draw: torch.Generator) -> Where:  # noqa: ARG002
        """Return where continuity is measured: codes of the prior, all directions."""
        return everywhere(self.codes(count, draw), draw)

    def sheet(self, images: Tensor, draw: torch.Generator) -> Rows:
        """Return rows of pictures that show what has been learned, with what each is.

        Args:
            images: some that were held out, one per column.
            draw: of codes.
        """
        count = len(images)
        codes = self.codes(count, draw)
        ends = torch.linspace(0, 1, count).to(codes)
        rows = [("held out", images)]
        if self.phase == ENCODER or not self.recipe.encoder_epochs:
            rows.append(("after encoder and generator", self.rebuilt(images)))
        rows.append(("from the prior", self.decoded(codes)))
        between = torch.lerp(codes[:1], codes[-1:], ends[:, None])
        return [*rows, ("from one code to another", self.decoded(between))]

    def settle(self, batches: Iterable[Tensor]) -> None:
        """End the training: what is folded into the weights from the training images, once."""

    def graphs(self) -> tuple[Graph, Graph]:
        """Return generator and encoder as inert graphs."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {
            "modules": self.state_dict(),
            "optimisers": {name: one.state_dict() for name, one in self.optimisers.items()},
            "terms": self.terms.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.load_state_dict(state["modules"])
        for name, one in self.optimisers.items():
            one.load_state_dict(state["optimisers"][name])
        self.terms.restore(state["terms"])

    def advance(self, progress: float) -> None:
        """Set what depends on the share of the phase that is over: learning rates and weights."""
        rate, self.terms.progress = self.recipe.rate_at(progress), progress
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = rate

    def descend(self, name: str, parts: Parts) -> Parts:
        """Take one step down the sum of the parts; return them detached."""
        optimiser = self.optimisers[name]
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack(list(parts.values())).sum())
        optimiser.step()
        return {part: value.detach() for part, value in parts.items()}
