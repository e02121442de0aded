"""Generative adversarial networks: a critic tells images from generated ones, with a gradient penalty.

An encoder is fitted afterwards, the generator frozen: it learns the codes of generated images, and to make
the generator rebuild real ones.

Source: Gulrajani, Ahmed, Arjovsky, Dumoulin & Courville, NeurIPS 2017 (WGAN-GP).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocert.generators import continuity
from glocert.generators.training import architectures
from glocert.generators.training.chain import Shape
from glocert.generators.training.learner import ENCODER, Learner
from glocert.generators.training.terms import Parts, Subject, probe
from glocert.graph.ir import Graph
from glocert.spec_generator import Recipe

BETAS = (0.5, 0.999)
REBUILDING = 10.0
"""Weight of the squared error of pixels, beside that of codes, for the encoder."""


class Adversary(Learner):
    """A generator, its critic, and an encoder for later."""

    turn: Tensor

    def __init__(self, recipe: Recipe, shape: Shape) -> None:
        super().__init__(recipe, shape)
        self.decoder = architectures.decoder(recipe, shape)
        self.critic = architectures.critic(recipe.width, shape)
        self.encoder = architectures.encoder(recipe, shape)
        self.register_buffer("turn", torch.zeros((), dtype=torch.int64))
        self.optimisers = {
            name: torch.optim.Adam(part.parameters(), lr=recipe.rate, betas=BETAS)
            for name, part in (("decoder", self.decoder), ("critic", self.critic), ("encoder", self.encoder))
        }

    @property
    def about_codes(self) -> str:
        """Drawn from the prior."""
        return "Codes were drawn from the prior; the encoder was fitted afterwards."

    def step(self, images: Tensor, draw: torch.Generator) -> Parts:
        """Let the critic learn, and every few times the generator; or, afterwards, the encoder."""
        images = self.varied(images, draw)
        if self.phase == ENCODER:
            return self._encode(images, draw)
        self.turn += 1
        with torch.no_grad():
            made = self.decoder(self.codes(len(images), draw))
        score = criticised(self.critic, images, made, self.recipe.penalty, draw)
        parts = {f"critic {name}": part for name, part in self.descend("critic", score).items()}
        if int(self.turn) % self.recipe.critic_steps == 0:
            parts |= self._generate(len(images), draw)
        return parts

    def _generate(self, count: int, draw: torch.Generator) -> Parts:
        codes, others = self.codes(count, draw), self.codes(max(1, count // 2), draw)
        spread = float(codes.square().mean().sqrt())
        subject = Subject(self.decoder.learning, self.decoder, self.decoder)
        found, parts = self.terms.add(subject, probe(codes, others, spread, draw), draw)
        made = torch.cat([found.first, found.second])
        return self.descend("decoder", {"generator": -self.critic(made).mean(), **parts})

    def _encode(self, images: Tensor, draw: torch.Generator) -> Parts:
        self.decoder.eval()
        codes = self.codes(len(images), draw)
        with torch.no_grad():
            made = self.decoder(codes)
        rebuilt = self.decoder.learning(self.encoder(images))
        return self.descend("encoder", {
            "codes": functional.mse_loss(self.encoder(made), codes),
            "reconstruction": REBUILDING * functional.mse_loss(rebuilt, images),
        })  # fmt: skip

    def rebuilt(self, images: Tensor) -> Tensor:
        """Return images after encoder and generator."""
        return self.decoder(self.encoder(images))  # type: ignore[no-any-return]

    def decoded(self, codes: Tensor) -> Tensor:
        """Return the images of codes."""
        return self.decoder(codes)  # type: ignore[no-any-return]

    def codes(self, count: int, draw: torch.Generator) -> Tensor:
        """Return codes from the prior."""
        size, like = (count, self.recipe.latent_dim), next(self.parameters())
        if self.recipe.prior == "uniform":
            return (2 * torch.rand(size, generator=draw) - 1).to(like)
        return torch.randn(size, generator=draw).to(like)

    def graphs(self) -> tuple[Graph, Graph]:
        """Return generator and encoder."""
        return self.decoder.graph(), self.encoder.graph()


def criticised(critic: nn.Module, real: Tensor, made: Tensor, penalty: float, draw: torch.Generator) -> Parts:
    """Return the loss of a critic: how it confuses both, and how far its slope is from one between them."""
    share = torch.rand(len(real), generator=draw).to(real)
    between = continuity.mixed(real, made, share).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    steep = (continuity.norms(slope) - 1).square().mean()
    return {"score": critic(made).mean() - critic(real).mean(), "slope": penalty * steep}
