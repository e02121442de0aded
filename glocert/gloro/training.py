"""Training a GloRo network: epochs with progress, checkpoints that continue where they ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocert.gloro.augmentation import varied
from glocert.gloro.losses import LOSSES
from glocert.gloro.network import Learner
from glocert.gloro.recipe import Recipe
from glocert.gloro.samples import Samples
from glocert.lipschitz.radius import radii

_FRESH = 10
"""Power iterations begin anew every so many epochs."""
SETTLING = 50
"""Power iterations before estimates are reported."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """What an epoch did; the robust share uses estimated constants and is no certificate.

    Attributes:
        number: from 1.
        loss: mean over the epoch.
        radius: that was trained for at its end.
        accuracy: on the validation inputs.
        robust: estimated share of the validation inputs that are right and certified at the recipe's radius.
        seconds: wall time, validation included.
    """

    number: int
    loss: float
    radius: float
    accuracy: float
    robust: float
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return plain data, one point of a learning curve."""
        return asdict(self)


@dataclass(slots=True)
class Training:
    """A run under way. Whoever stops asking for epochs stops it; a checkpoint continues it.

    Attributes:
        network: learns in place, on the device where it is.
        recipe: how.
        optimiser: Adam, with the recipe's weight decay.
        generator: of order and augmentation.
        done: epochs behind it.
        log: what they did, those before a checkpoint included.
    """

    network: Learner
    recipe: Recipe
    optimiser: torch.optim.AdamW
    generator: torch.Generator
    done: int
    log: list[Epoch]

    @classmethod
    def start(cls, network: Learner, recipe: Recipe) -> Training:
        """Begin a run."""
        learning = [tensor for tensor in network.parameters() if tensor.requires_grad]
        optimiser = torch.optim.AdamW(learning, lr=recipe.rate, weight_decay=recipe.decay)
        return cls(network, recipe, optimiser, torch.Generator().manual_seed(recipe.seed), 0, [])

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.network.parameters()).device

    def epochs(self, data: Samples, validation: Samples) -> Iterator[Epoch]:
        """Train to the end; yield after every epoch.

        Args:
            data: to learn from.
            validation: never trained on.
        """
        data, validation = data.to(self.device), validation.to(self.device)
        while self.done < self.recipe.epochs:
            began = time.monotonic()
            loss = self._epoch(data)
            self.done += 1
            if self.done % _FRESH == 0:
                self.network.restart(self.generator)
            accuracy, robust = self.evaluate(validation)
            radius = self.recipe.radius_at(self.done / self.recipe.epochs)
            self.log.append(Epoch(self.done, loss, radius, accuracy, robust, time.monotonic() - began))
            yield self.log[-1]

    def _epoch(self, data: Samples) -> float:
        self.network.train()
        order = torch.randperm(len(data), generator=self.generator).to(self.device)
        total = torch.zeros((), device=self.device)
        for start in range(0, len(order), self.recipe.batch):
            batch = data[order[start : start + self.recipe.batch]]
            progress = (self.done + start / len(order)) / self.recipe.epochs
            images = varied(batch.images, self.recipe, self.generator)
            total += self._step(images, batch.labels, progress) * len(images)
        return float(total) / len(order)

    def _step(self, images: Tensor, labels: Tensor, progress: float) -> Tensor:
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate_at(progress)
        loss = self._loss(images, labels, progress)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self.optimiser.step()
        return loss.detach()

    def _loss(self, images: Tensor, labels: Tensor, progress: float) -> Tensor:
        recipe, scores = self.recipe, self.network(images)
        if self.done < recipe.warmup:
            return functional.cross_entropy(scores, labels)
        pairs = self.network.pairs(recipe.iterations)
        radius, weight = recipe.radius_at(progress), recipe.weight_at(progress)
        return LOSSES[recipe.loss](scores, labels, pairs, radius, weight)

    @torch.no_grad()
    def evaluate(self, samples: Samples) -> tuple[float, float]:
        """Return accuracy and estimated robust share at the recipe's radius."""
        self.network.eval()
        pairs = self.network.pairs(SETTLING).double()
        scores = torch.cat([self.network(part) for part in torch.split(samples.images, 1024)]).double()
        found = radii(scores, pairs)
        right = found.label == samples.classes
        robust = right & found.certified(self.recipe.epsilon)
        return float(right.float().mean()), float(robust.float().mean())

    def save(self, path: Path) -> None:
        """Write a checkpoint; a reader finds the old one or the new one, never half of it."""
        state = {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "log": [epoch.to_json() for epoch in self.log],
            "recipe": self.recipe.to_json(),
        }
        beside = path.with_name(f"{path.name}.part")
        torch.save(state, beside)
        beside.replace(path)

    def load(self, path: Path) -> None:
        """Continue from a checkpoint.

        Raises:
            ValueError: it was made by another recipe or for another network.
        """
        state = torch.load(path, weights_only=True, map_location="cpu")
        if state["recipe"] != self.recipe.to_json():
            raise ValueError("the checkpoint was made by another recipe")
        try:
            self.network.load_state_dict(state["network"])
        except RuntimeError as error:
            raise ValueError("the checkpoint was made for another network") from error
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        self.log = [Epoch(**epoch) for epoch in state["log"]]
        self.done = len(self.log)
