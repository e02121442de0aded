"""What an analysis may use: time, pieces and memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of one analysis; each is checked between blocks of work.

    Attributes:
        deadline: value of ``clock`` (seconds) after which nothing new is started.
        pieces: largest number of linear pieces looked at.
        block_bytes: how much memory one depth-first block of activations may take.
        clock: monotonic seconds; replaced in tests.
    """

    deadline: float = float("inf")
    pieces: int = 10_000_000
    block_bytes: int = 64 * 2**20
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    @classmethod
    def seconds(cls, seconds: float, *, pieces: int = 10_000_000, block_bytes: int = 64 * 2**20) -> Budget:
        """Return a budget that ends ``seconds`` from now."""
        return cls(time.monotonic() + seconds, pieces, block_bytes)

    @property
    def out_of_time(self) -> bool:
        """Whether the deadline has passed."""
        return self.clock() >= self.deadline

    def within(self, seconds: float) -> Budget:
        """Return the same budget, which ends at the latest so many seconds from now."""
        return replace(self, deadline=min(self.deadline, self.clock() + seconds))
