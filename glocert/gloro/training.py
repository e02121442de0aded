"""Training a GloRo network: epochs with progress, checkpoints that continue where they ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from glocert.gloro.losses import LOSSES
from glocert.gloro.network import GloroNet
from glocert.gloro.recipe import Recipe
from glocert.lipschitz.radius import radii

_FRESH = 10
"""Power iterations begin anew every so many epochs."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """What an epoch did; the robust share uses estimated constants and is no certificate.

    Attributes:
        number: from 1.
        loss: mean over the epoch.
        radius: that was trained for at its end.
        accuracy: on the validation inputs.
        robust: estimated share of the validation inputs that are right and certified at the recipe's radius.
        seconds: wall time.
    """

    number: int
    loss: float
    radius: float
    accuracy: float
    robust: float
    seconds: float


@dataclass(slots=True)
class Training:
    """A run under way.

    Attributes:
        network: learns in place.
        recipe: how.
        optimiser: Adam.
        generator: of order and augmentation.
        done: epochs behind it.
    """

    network: GloroNet
    recipe: Recipe
    optimiser: torch.optim.Adam
    generator: torch.Generator
    done: int = 0

    @classmethod
    def start(cls, network: GloroNet, recipe: Recipe) -> Training:
        """Begin a run."""
        optimiser = torch.optim.Adam(network.parameters(), lr=recipe.rate)
        return cls(network, recipe, optimiser, torch.Generator().manual_seed(recipe.seed))

    def epochs(self, images: Tensor, labels: Tensor, validation: tuple[Tensor, Tensor]) -> Iterator[Epoch]:
        """Train to the end; yield after every epoch.

        Args:
            images: float32, raw units, shape (N, channels, height, width).
            labels: int64, shape (N,).
            validation: images and labels that are never trained on.
        """
        while self.done < self.recipe.epochs:
            began = time.monotonic()
            loss = self._epoch(images, labels)
            self.done += 1
            if self.done % _FRESH == 0:
                self.network.restart()
            accuracy, robust = self.evaluate(*validation)
            radius = self.recipe.radius_at(self.done / self.recipe.epochs)
            yield Epoch(self.done, loss, radius, accuracy, robust, time.monotonic() - began)

    def _epoch(self, images: Tensor, labels: Tensor) -> float:
        self.network.train()
        order = torch.randperm(len(images), generator=self.generator)
        total = 0.0
        for start in range(0, len(order), self.recipe.batch):
            chosen = order[start : start + self.recipe.batch]
            progress = (self.done + start / len(order)) / self.recipe.epochs
            batch = self._varied(images[chosen])
            total += self._step(batch, labels[chosen], progress) * len(chosen)
        return total / len(order)

    def _step(self, images: Tensor, labels: Tensor, progress: float) -> float:
        recipe = self.recipe
        for group in self.optimiser.param_groups:
            group["lr"] = recipe.rate_at(progress)
        scores, pairs = self.network(images), self.network.pairs(recipe.iterations)
        loss = LOSSES[recipe.loss](
            scores, labels, pairs, recipe.radius_at(progress), recipe.weight_at(progress)
        )
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.optimiser.step()
        return float(loss.detach())

    def _varied(self, images: Tensor) -> Tensor:
        """Return the images moved and mirrored at random, each by itself."""
        shift = self.recipe.shift
        if shift:
            images = shifted(images, shift, self.generator)
        if self.recipe.flip:
            mirrored = torch.rand(len(images), 1, 1, 1, generator=self.generator) < 0.5
            images = torch.where(mirrored, images.flip(3), images)
        return images

    @torch.no_grad()
    def evaluate(self, images: Tensor, labels: Tensor) -> tuple[float, float]:
        """Return accuracy and estimated robust share at the recipe's radius."""
        self.network.eval()
        pairs = self.network.pairs(50).double()
        scores = torch.cat([self.network(part) for part in torch.split(images, 1024)]).double()
        found = radii(scores, pairs)
        right = found.label == labels
        robust = right & found.certified(self.recipe.epsilon)
        return float(right.float().mean()), float(robust.float().mean())

    def save(self, path: Path) -> None:
        """Write a checkpoint; a reader finds the old one or the new one, never half of it."""
        state = {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "done": self.done,
            "recipe": self.recipe.to_json(),
        }
        beside = path.with_name(f"{path.name}.part")
        torch.save(state, beside)
        beside.replace(path)

    def load(self, path: Path) -> None:
        """Continue from a checkpoint.

        Raises:
            ValueError: it was made by another recipe.
        """
        state = torch.load(path, weights_only=True)
        if state["recipe"] != self.recipe.to_json():
            raise ValueError("the checkpoint was made by another recipe")
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        self.done = state["done"]


def shifted(images: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Return each image moved by up to ``most`` pixels along both axes, zeros outside."""
    count, _, height, width = images.shape
    padded = functional.pad(images, (most,) * 4)
    moves = torch.randint(0, 2 * most + 1, (2, count, 1), generator=generator)
    rows = moves[0] + torch.arange(height)
    columns = moves[1] + torch.arange(width)
    each = torch.arange(count)[:, None, None]
    return padded[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
