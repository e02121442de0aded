"""Autoencoders: a generator that learns to undo an encoder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocert.generators.training import architectures
from glocert.generators.training.chain import Shape
from glocert.generators.training.learner import Learner
from glocert.generators.training.terms import Parts, Subject, probe
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
_LEAST = 1e-6
"""Smallest variance of a code that is made one, as a share of the largest."""


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
        codes = self.encoder(images)
        self._follow(codes.detach())
        frame = self._frame()
        subject = Subject(
            lambda w: self.decoder.learning(frame.back(w)),
            lambda w: self.decoder(frame.back(w)),
            self.decoder,
        )
        others = self.codes(max(1, len(codes) // 2), draw)
        found, parts = self.terms.add(subject, probe(frame.to(codes), others, 1.0, draw), draw)
        rebuilt = torch.cat([found.first, found.second])
        return self.descend("all", {"reconstruction": functional.mse_loss(rebuilt, images), **parts})

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


def moments(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and covariance of codes, shape (N, d); of one code alone the covariance is zero."""
    mean = codes.mean(0)
    away = codes - mean
    return mean, away.T @ away / max(1, len(codes) - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Coordinates of codes: centred, along the axes of their covariance, the widest first.

    Attributes:
        mean: of the encoder's codes, shape (d,).
        outwards: from these coordinates to the encoder's, ``c = w outwards^T + mean``, shape (d, d).
        inwards: the inverse of ``outwards``.
        spreads: standard deviations in these coordinates, shape (d,).
    """

    mean: Tensor
    outwards: Tensor
    inwards: Tensor
    spreads: Tensor

    @classmethod
    def of(cls, mean: Tensor, covariance: Tensor, codes: str) -> Frame:
        """Return the frame in which codes are ``white`` (covariance I) or ``scaled`` (of mean variance one).

        Scaling by one number keeps the encoder's own metric: directions in which images differ much stay
        longer than others. White codes stretch those in which they hardly vary: such count as wider than
        they are, so that nothing is divided by zero.
        """
        values, vectors = torch.linalg.eigh(covariance.double())
        values, vectors = values.flip(0), vectors.flip(1)
        largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
        vectors = vectors * largest.sign()
        spreads = values.clamp_min(max(float(values[0]) * _LEAST, 1e-24)).sqrt()
        unit = spreads if codes == WHITE else spreads.square().mean().sqrt().expand_as(spreads)
        found = vectors * unit, (vectors / unit).T, spreads / unit
        return cls(mean, *(part.to(mean) for part in found))

    def to(self, codes: Tensor) -> Tensor:
        """Return codes of the encoder in these coordinates."""
        return (codes - self.mean) @ self.inwards.T

    def back(self, codes: Tensor) -> Tensor:
        """Return the encoder's codes of these."""
        return codes @ self.outwards.T + self.mean
