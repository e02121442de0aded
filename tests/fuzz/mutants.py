"""Mutant number n of a campaign: the same file every time, whatever ran before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tests.fuzz import archives, onnx_models, raw
from tests.fuzz.seeds import DATASET, Seed

_BLIND = 0.2
_OF_DATA = 0.12
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Mutant:
    """A file that nobody wrote.

    Attributes:
        number: its place in the campaign.
        seed: what it was made of.
        data: the file.
        steps: how often it was changed.
    """

    number: int
    seed: Seed
    data: bytes
    steps: int


def mutant(campaign: int, number: int, seeds: Sequence[Seed]) -> Mutant:
    """Make one; its seed, its steps and every choice in them follow from the two numbers."""
    draw = Random(f"{campaign}/{number}")
    wanted = draw.random() < _OF_DATA
    seed = draw.choice([seed for seed in seeds if (seed.kind == DATASET) == wanted])
    return grown(seed, draw, number, draw.choice((1, 1, 1, 2, 3, 5)), seeds)


def grown(seed: Seed, draw: Random, number: int, steps: int, seeds: Sequence[Seed]) -> Mutant:
    """Change a seed so many times."""
    data = seed.data
    for _ in range(steps):
        data = _changed(data, draw, draw.choice(seeds).data)
    return Mutant(number, seed, data, steps)


def _changed(data: bytes, draw: Random, other: bytes) -> bytes:
    if draw.random() < _BLIND:
        return raw.mutate(data, draw, other)
    for _ in range(_TRIES):
        made = archives.mutate(data, draw, other) if data[:2] == b"PK" else onnx_models.mutate(data, draw)
        if made is not None and made != data:
            return made
    return raw.mutate(data, draw, other)
