"""Samples of the margin along a path: many, so in the narrowest numbers that tell its sign."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.questions import Question
from glocert.graph.run import run

Float64 = NDArray[np.float64]

TILES = bool(torch.cpu.get_capabilities().get("amx_bf16"))
"""whether the processor multiplies matrices of bfloat16, ten times as fast as others"""
FAR = 8.0
"""margin, in errors of bfloat16 seen on the same path, above which a bfloat16 sample counts"""
CLOSE = 1e-3
"""margin, relative to the scores, below which a float32 sample is repeated in float64"""
_COMPARED = 1000
"""samples of a path that show the error of bfloat16"""
_BATCH, _NUMBERS = 256, 2**20
"""samples that are run at once, and numbers of their largest activation: what caches hold"""


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """A path that can be sampled, written without the code under test.

    Attributes:
        question: network, ends and label.
        parameters: of the network, for each type of numbers.
        scale: size of the scores at the ends.
    """

    question: Question
    parameters: dict[torch.dtype, dict[str, torch.Tensor]]
    scale: float

    @classmethod
    def of(cls, question: Question) -> Path:
        """Look at the ends."""
        stored = question.graph.parameters.items()
        parameters = {
            dtype: {name: _loaded(torch.tensor(values, dtype=dtype)) for name, values in stored}
            for dtype in (torch.bfloat16, torch.float32, torch.float64)
        }
        path = cls(question, parameters, 1.0)
        return replace(path, scale=max(1.0, float(path.scores(np.array([0.0, 1.0])).abs().max())))

    @torch.inference_mode()
    def scores(self, t: Float64, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        """Run the network at some parameters, shape (len(t), classes)."""
        segment, graph = self.question.segment, self.question.graph
        start, stop = (torch.tensor(end, dtype=dtype) for end in (segment.start, segment.stop))
        share = torch.tensor(t, dtype=dtype).view(-1, *(1,) * start.ndim)
        return run(graph, torch.lerp(start, stop, share), self.parameters[dtype]).flatten(1)

    def margins(self, t: Float64, tiles: bool = TILES) -> Float64:
        """Return the smallest margin at every parameter: by float64 where float32 is close to zero.

        Args:
            t: parameters, in order.
            tiles: whether bfloat16 comes first.
        """
        found = self._screened(t) if tiles else self._sampled(t, torch.float32)
        close = np.abs(found) < CLOSE * self.scale
        found[close] = self.exact(t[close])
        return found

    def _screened(self, t: Float64) -> Float64:
        """Return margins by bfloat16, and by float32 where they are not far from zero."""
        found = self._sampled(t, torch.bfloat16)
        compared = slice(None, None, max(1, len(t) // _COMPARED))
        error = np.abs(found[compared] - self._sampled(t[compared], torch.float32)).max()
        near = ~(np.abs(found) > FAR * error)
        found[near] = self._sampled(t[near], torch.float32)
        return found

    def exact(self, t: Float64) -> Float64:
        """Return the smallest margin in float64."""
        return self._sampled(t, torch.float64)

    def _sampled(self, t: Float64, dtype: torch.dtype) -> Float64:
        size = max(1, min(_BATCH, _NUMBERS // _widest(self.question)))
        parts = np.array_split(t, max(1, -(-len(t) // size)))
        return np.concatenate([self._smallest(self.scores(part, dtype)).double().numpy() for part in parts])

    def _smallest(self, scores: torch.Tensor) -> torch.Tensor:
        label = self.question.label
        others = [j for j in range(scores.shape[1]) if j != label]
        return scores[:, label] - scores[:, others].amax(1)


def _loaded(parameter: torch.Tensor) -> torch.Tensor:
    """Return a parameter in the order in which torch convolves fastest: channels last."""
    return parameter.to(memory_format=torch.channels_last) if parameter.ndim == 4 else parameter


def _widest(question: Question) -> int:
    return max(math.prod(shape) for shape in question.graph.shapes.values())


def stratified(count: int, seed: int) -> Float64:
    """Return one random parameter in each of ``count`` equal parts of [0, 1], in order."""
    return (np.arange(count) + np.random.default_rng(seed).random(count)) / count
