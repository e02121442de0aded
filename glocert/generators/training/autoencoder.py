"""Autoencoders: a generator that learns to undo an encoder."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocert.generators.training import architectures
from glocert.generators.training.chain import Shape
from glocert.generators.training.learner import Learner
from glocert.generators.training.terms import Parts, Subject, probe
from glocert.graph.ir import Graph
from glocert.spec_generator import Recipe

DECAY = 0.99
"""of the running statistics of the codes"""
FOLLOWED, SETTLED = 1.0, 2.0
"""whether there are running statistics; whether they are folded into the weights"""
_LEAST = 1e-6
"""Smallest variance of a code that is made one, as a share of the largest."""


class Autoencoder(Learner):
    """An encoder and a bounded decoder; in the end the codes of the training images are whitened.

    Gains are measured in the metric in which the codes have unit covariance, as they will have. Its running
    estimate is part of the state.
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
        """Whitened after the training."""
        return "Codes of the training images have mean 0 and covariance I; the prior is N(0, I)."

    def step(self, images: Tensor, draw: torch.Generator) -> Parts:
        """Reconstruct, and stay continuous between and around the codes."""
        codes = self.encoder(images)
        self._follow(codes.detach())
        factor, back = factors(self.covariance)
        white = (codes - self.mean) @ back.T
        subject = Subject(
            lambda w: self.decoder.learning(w @ factor.T + self.mean),
            lambda w: self.decoder(w @ factor.T + self.mean),
            self.decoder,
        )
        others = self.codes(max(1, len(codes) // 2), draw).to(codes)
        found, parts = self.terms.add(subject, probe(white, others, 1.0, draw), draw)
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
        factor, _ = factors(self.covariance)
        return self.decoder(codes @ factor.T + self.mean)  # type: ignore[no-any-return]

    def codes(self, count: int, draw: torch.Generator) -> Tensor:
        """Return normal codes."""
        return torch.randn(count, self.recipe.latent_dim, generator=draw).to(self.mean)

    @torch.no_grad()
    def settle(self, batches: Iterable[Tensor]) -> None:
        """Whiten: codes of the training images get mean 0 and covariance I, folded into two layers."""
        codes = torch.cat([self.encoder(images) for images in batches]).double()
        mean, covariance = moments(codes)
        factor, back = factors(covariance)
        last, first = self.encoder.layers[-1], self.decoder.layers[0]
        assert isinstance(last, nn.Linear)
        assert isinstance(first, nn.Linear)
        last.bias.copy_((last.bias.double() - mean) @ back.T)
        last.weight.copy_(back @ last.weight.double())
        first.bias.add_((first.weight.double() @ mean).to(first.bias))
        first.weight.copy_(first.weight.double() @ factor)
        self.seen.fill_(SETTLED)

    def graphs(self) -> tuple[Graph, Graph]:
        """Return decoder and encoder."""
        return self.decoder.graph(), self.encoder.graph()


def moments(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and covariance of codes, shape (N, d); of one code alone the covariance is zero."""
    mean = codes.mean(0)
    away = codes - mean
    return mean, away.T @ away / max(1, len(codes) - 1)


def factors(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Return F with ``F F^T`` the covariance, and its inverse; the widest direction comes first.

    Directions in which codes hardly vary count as wider than they are: nothing is divided by zero.
    """
    values, vectors = torch.linalg.eigh(covariance.double())
    values, vectors = values.flip(0), vectors.flip(1)
    largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    vectors = vectors * largest.sign()
    spreads = values.clamp_min(max(float(values[0]) * _LEAST, 1e-24)).sqrt()
    return (vectors * spreads).to(covariance), (vectors / spreads).T.to(covariance)
