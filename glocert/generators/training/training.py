"""Training a generator: epochs with progress, checkpoints that continue where they ended."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from glocert.errors import TrainingDiverged
from glocert.generators.quality import psnr
from glocert.generators.training.augmentation import varied
from glocert.generators.training.learner import ENCODER, GENERATOR, Learner
from glocert.generators.training.terms import Parts

_APART = 2**32
"""Distance between the seeds of a run and of the variants that it is measured on."""
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Epoch:
    """What an epoch did.

    Attributes:
        number: from 1.
        phase: ``generator`` or ``encoder``.
        parts: mean of each part of the loss, weighted.
        psnr: mean over the images held out, after encoder and generator, dB; ``None`` before there is an
            encoder.
        seconds: wall time, validation included.
    """

    number: int
    phase: str
    parts: dict[str, float]
    psnr: float | None
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return plain data, one point of a learning curve."""
        return asdict(self)


@dataclass(slots=True)
class Training:
    """A run under way. Whoever stops asking for epochs stops it; a checkpoint continues it.

    Attributes:
        learner: learns in place, on the device where it is.
        draw: everything random comes from it, on the CPU.
        log: what the epochs did, those before a checkpoint included.
        best: number of the epoch with the best reconstruction, and the modules after it; only with patience.
        ended: whether the last epoch is over.
    """

    learner: Learner
    draw: torch.Generator
    log: list[Epoch] = field(default_factory=list)
    best: tuple[int, dict[str, Tensor]] | None = None
    ended: bool = False

    @classmethod
    def start(cls, learner: Learner) -> Training:
        """Begin a run."""
        return cls(learner, torch.Generator().manual_seed(learner.recipe.seed))

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.learner.parameters()).device

    def epochs(self, images: Tensor, validation: Tensor) -> Iterator[Epoch]:
        """Train to the end; yield after every epoch. The learner is settled before the last one is yielded.

        Args:
            images: to learn from, float32 in [0, 1], shape (N, channels, height, width), N >= 2.
            validation: never trained on.

        Raises:
            TrainingDiverged: a loss is no number any more.
        """
        images, validation = images.to(self.device), self.variants(validation.to(self.device), 1)
        while not self.ended:
            began = time.monotonic()
            self.learner.phase = self.phase
            parts = self._epoch(images)
            found = self._measure(validation)
            number = len(self.log) + 1
            self.ended = number >= self.learner.recipe.total_epochs or self._worse(number, found)
            if self.ended:
                self._settle(images)
            self.log.append(Epoch(number, self.learner.phase, parts, found, time.monotonic() - began))
            yield self.log[-1]

    @property
    def phase(self) -> str:
        """What the next epoch trains."""
        return GENERATOR if len(self.log) < self.learner.recipe.epochs else ENCODER

    def variants(self, images: Tensor, number: int) -> Tensor:
        """Return images varied as the recipe asks for, always in the same way."""
        seed = self.learner.recipe.seed + number * _APART
        return varied(images, self.learner.recipe.ranges, torch.Generator().manual_seed(seed))

    def _epoch(self, images: Tensor) -> dict[str, float]:
        learner, recipe = self.learner, self.learner.recipe
        learner.train()
        order = torch.randperm(len(images), generator=self.draw)
        batches = [part[: len(part) // 2 * 2] for part in torch.split(order, max(2, recipe.batch // 2 * 2))]
        sums: dict[str, Tensor] = {}
        counts: dict[str, int] = {}
        for place, chosen in enumerate(part for part in batches if len(part)):
            learner.advance(self._progress(place / len(batches)))
            for name, value in self._step(images[chosen.to(self.device)]).items():
                sums[name] = sums.get(name, torch.zeros_like(value)) + value
                counts[name] = counts.get(name, 0) + 1
        parts = {name: float(total) / counts[name] for name, total in sums.items()}
        if not all(map(math.isfinite, parts.values())):
            raise TrainingDiverged(f"The loss of epoch {len(self.log) + 1} is no number: {parts}.")
        return parts

    def _step(self, batch: Tensor) -> Parts:
        try:
            return self.learner.step(batch, self.draw)
        except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
            # The covariance of codes that are no numbers has no eigenvalues.
            raise TrainingDiverged(f"The codes of epoch {len(self.log) + 1} are no numbers.") from error

    def _progress(self, within: float) -> float:
        """Return the share of the phase that is over."""
        recipe, done = self.learner.recipe, len(self.log) + within
        if self.phase == GENERATOR:
            return done / recipe.epochs
        return (done - recipe.epochs) / recipe.encoder_epochs

    @torch.no_grad()
    def _measure(self, validation: Tensor) -> float | None:
        self.learner.eval()
        if self.learner.phase == GENERATOR and self.learner.recipe.encoder_epochs:
            return None
        parts = [
            psnr(self.learner.wanted(part), self.learner.rebuilt(part))
            for part in torch.split(validation, _BLOCK)
        ]
        return float(torch.cat(parts).mean())

    def _worse(self, number: int, found: float | None) -> bool:
        """Keep the best modules; return whether there was none better for too long."""
        patience = self.learner.recipe.patience
        if not patience or found is None:
            return False
        before = max((epoch.psnr or -math.inf for epoch in self.log), default=-math.inf)
        if found > before or self.best is None:
            kept = {name: part.detach().clone() for name, part in self.learner.state_dict().items()}
            self.best = number, kept
        return number - self.best[0] >= patience

    def _settle(self, images: Tensor) -> None:
        self.learner.eval()
        if self.best is not None:
            self.learner.load_state_dict(self.best[1])
        self.learner.settle(self.variants(part, 2) for part in torch.split(images, _BLOCK))

    def save(self, path: Path) -> None:
        """Write a checkpoint; a reader finds the old one or the new one, never half of it."""
        state = {
            "learner": self.learner.state(),
            "draw": self.draw.get_state(),
            "log": [epoch.to_json() for epoch in self.log],
            "best": None if self.best is None else list(self.best),
            "ended": self.ended,
            "recipe": self.learner.recipe.to_json(),
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
        if state["recipe"] != self.learner.recipe.to_json():
            raise ValueError("the checkpoint was made by another recipe")
        try:
            self.learner.restore(state["learner"])
        except RuntimeError as error:
            raise ValueError("the checkpoint was made for another network") from error
        self.draw.set_state(state["draw"])
        self.log = [Epoch(**epoch) for epoch in state["log"]]
        self.best = None if state["best"] is None else (state["best"][0], state["best"][1])
        self.ended = state["ended"]
