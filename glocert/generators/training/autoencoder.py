"""Autoencoders: a generator that learns to undo an encoder."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocert.generators.training import architectures
from glocert.generators.training.chain import Shape
from glocert.generators.training.frame import Frame, moments
from glocert.generators.training.learner import Learner
from glocert.generators.training.terms import Parts, Subject, probe
from glocert.generators.training.ways import Ways
from glocert.graph.ir import Graph
from glocert.spec_generator import SCALED, WHITE, Recipe

DECAY = 0.99
"""of the running statistics of the codes"""
FOLLOWED, SETTLED = 1.0, 2.0
"""whether there are running statistics; whether they are folded into the weights"""
ABOUT = {
    WHITE: "Codes of the training images have mean 0 and covariance I; the prior is N(0, I).",
    SCALED: "Codes of the training images have mean 0 and uncorrelated numbers, the widest first, of "
    "variance 1 on the average; the prior is normal with their spreads.",
}


class Autoencoder(Learner):
    """An encoder and a bounded decoder; in the end the codes of the training images are whitened or scaled.

    Gains are measured in the coordinates that the codes will have. Their running estimate is part of the
    state.
    """

    mean: Tensor
    covariance: Tensor
    seen: Tensor

    def __init__(self, recipe: Recipe, shape: Shape) -> None:
        super().__init__(recipe, shape)
        self.encoder = architectures.encoder(recipe, shape)
        self.decoder = architectures.decoder(recipe, shape)
        size = recipe.latent_dim
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("covariance", torch.eye(size))
        self.register_buffer("seen", torch.zeros(()))
        self.optimisers["all"] = torch.optim.Adam(self.parameters(), lr=recipe.rate)

    @property
    def about_codes(self) -> str:
        """What the end of the training makes them."""
        return ABOUT[self.recipe.codes]

    def step(self, images: Tensor, draw: torch.Generator) -> Parts:
        """Reconstruct, and stay continuous between and around the codes."""
        images, ways = self._drawn(images, draw)
        codes = self.encoder(images)
        self._follow(codes.detach())
        frame = self._frame()
        subject = Subject(
            lambda w: self.decoder.learning(frame.back(w)),
            lambda w: self.decoder(frame.back(w)),
            self.decoder,
        )
        others = self.codes(max(1, len(codes) // 2), draw)
        asked = probe(frame.to(codes), others, 1.0, draw)
        found, parts = self.terms.add(subject, asked, draw)
        if ways is not None:
            wanted = ways.at(asked.share)
            parts["straight"] = self.recipe.straight * functional.mse_loss(found.middle, wanted)
        rebuilt = torch.cat([found.first, found.second])
        return self.descend("all", {"reconstruction": functional.mse_loss(rebuilt, images), **parts})

    def _drawn(self, images: Tensor, draw: torch.Generator) -> tuple[Tensor, Ways | None]:
        """Return varied images; where ways are to be straight, two variants of half of them."""
        if not self.recipe.straight:
            return self.varied(images, draw), None
        ways = Ways.drawn(images[: len(images) // 2], self.recipe.ranges, draw)
        return torch.cat(
            [ways.at(torch.zeros(len(ways.images))), ways.at(torch.ones(len(ways.images)))]
        ), ways

    @torch.no_grad()
    def _follow(self, codes: Tensor) -> None:
        """Move the running statistics; the first batch sets them."""
        mean, covariance = moments(codes)
        decay = DECAY * float(self.seen > 0)
        shift = codes.mean(0) - self.mean
        self.covariance.lerp_(covariance + decay * torch.outer(shift, shift), 1 - decay)
        self.mean.lerp_(mean, 1 - decay)
        self.seen.fill_(FOLLOWED)

    def rebuilt(self, images: Tensor) -> Tensor:
        """Return images after encoder and decoder."""
        return self.decoder(self.encoder(images))  # type: ignore[no-any-return]

    def decoded(self, codes: Tensor) -> Tensor:
        """Return the images of whitened codes."""
        if float(self.seen) == SETTLED:
            return self.decoder(codes)  # type: ignore[no-any-return]
        return self.decoder(self._frame().back(codes))  # type: ignore[no-any-return]

    def _frame(self) -> Frame:
        return Frame.of(self.mean, self.covariance, self.recipe.codes)

    @property
    def spreads(self) -> Tensor | None:
        """Of codes that are scaled only: white ones have spreads of 1."""
        return None if self.recipe.codes == WHITE else self._spreads()

    def _spreads(self) -> Tensor:
        return self.covariance.diagonal().sqrt() if float(self.seen) == SETTLED else self._frame().spreads

    def codes(self, count: int, draw: torch.Generator) -> Tensor:
        """Return normal codes, as wide as those of images along every axis."""
        return torch.randn(count, self.recipe.latent_dim, generator=draw).to(self.mean) * self._spreads()

    @torch.no_grad()
    def settle(self, batches: Iterable[Tensor]) -> None:
        """Whiten: codes of the training images get mean 0 and covariance I, folded into two layers."""
        codes = torch.cat([self.encoder(images) for images in batches]).double()
        frame = Frame.of(*moments(codes), self.recipe.codes)
        last, first = self.encoder.layers[-1], self.decoder.layers[0]
        assert isinstance(last, nn.Linear)
        assert isinstance(first, nn.Linear)
        last.bias.copy_(frame.to(last.bias.double()))
        last.weight.copy_(frame.inwards @ last.weight.double())
        first.bias.add_((first.weight.double() @ frame.mean).to(first.bias))
        first.weight.copy_(first.weight.double() @ frame.outwards)
        self.mean.zero_()
        self.covariance.copy_(frame.spreads.square().diag())
        self.seen.fill_(SETTLED)

    def graphs(self) -> tuple[Graph, Graph]:
        """Return decoder and encoder."""
        return self.decoder.graph(), self.encoder.graph()
