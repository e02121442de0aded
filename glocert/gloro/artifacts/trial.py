"""A wrapped file run after its export: does it answer what the library answers?

Two runtimes add up in different orders, so their scores differ by a bounded amount. A radius then differs by
at most that amount divided by the constant of the pair. Where the radius is that close to epsilon, two
runtimes may decide differently, both rightly; everywhere else a difference is an error.
"""

from __future__ import annotations

import io
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocert.errors import ImportMismatch
from glocert.gloro.artifacts.decision import Answer
from glocert.gloro.artifacts.torch_files import Decision
from glocert.gloro.artifacts.wrapped import Wrapped
from glocert.graph.wrapped import INPUT, OUTPUTS

Floats = NDArray[np.float32]
Run = Callable[[Tensor], Answer]
POINTS = 10_000
_BATCH = 250
_LEAST = 500
FUSIONS = ("ConvBNFusion", "ConvMulFusion", "ConvAddFusion", "MatMulBatchNormalizationFusion")
"""Optimisations of onnxruntime that compute new weights."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a trial showed.

    Attributes:
        points: how many inputs were answered.
        certified: how many of them were certified by the library.
        at_threshold: decisions that differ where rounding may decide.
        differences: all other differences; a sound export has none.
    """

    points: int = 0
    certified: int = 0
    at_threshold: int = 0
    differences: int = 0


def session(data: bytes, threads: int = 1) -> onnxruntime.InferenceSession:
    """Open an ONNX file in onnxruntime under the constraints that a manifest states."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        data, options, providers=["CPUExecutionProvider"], disabled_optimizers=list(FUSIONS)
    )


def runner(data: bytes, kind: str) -> Run:
    """Return what runs a file of a format."""
    if kind == "onnx":
        opened = session(data)

        def answer(x: Tensor) -> Answer:
            logits, label, certified, radius = map(
                torch.from_numpy, opened.run(list(OUTPUTS), {INPUT: x.numpy()})
            )
            return logits, label, certified, radius

        return answer
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "torchscript":
            module = torch.jit.load(io.BytesIO(data))  # type: ignore[no-untyped-call]
        else:
            module = torch.export.load(io.BytesIO(data)).module()
    return lambda x: tuple(module(x))


def trial(
    wrapped: Wrapped,
    data: bytes,
    kind: str,
    *,
    points: int = POINTS,
    seconds: float = 60.0,
    samples: Floats | None = None,
) -> Outcome:
    """Compare a file with the library on many inputs.

    Args:
        wrapped: what the file was made of.
        data: the file.
        kind: its format.
        points: how many inputs, unless time runs out; 500 at least.
        seconds: wall time.
        samples: real inputs to draw from, raw, shape (N, *input shape).

    Raises:
        ImportMismatch: the file answers something else.
    """
    ours, theirs = Decision(wrapped).eval(), runner(data, kind)
    outcome, began = Outcome(), time.monotonic()
    with torch.no_grad():
        for x in _inputs(wrapped, samples, points):
            outcome = _compared(outcome, wrapped, x, ours(x), theirs(x))
            if outcome.points >= _LEAST and time.monotonic() - began > seconds:
                break
    if outcome.differences:
        raise ImportMismatch(f"the {kind} file differs from the library at {outcome.differences} inputs")
    return outcome


def _inputs(wrapped: Wrapped, samples: Floats | None, points: int) -> Iterator[Tensor]:
    """Yield batches: first what is awkward, then random images, flat images and noise on real ones."""
    shape = wrapped.network.input_shape
    generator = torch.Generator().manual_seed(0)
    for start in range(0, points, _BATCH):
        count = min(_BATCH, points - start)
        x = torch.rand(count, *shape, generator=generator)
        x[::3] = x[::3].mean(tuple(range(1, x.dim())), keepdim=True) * 2 - 0.5
        if samples is not None and len(samples):
            rows = torch.from_numpy(samples)[
                torch.randint(len(samples), (len(x[1::3]),), generator=generator)
            ]
            x[1::3] = rows + x[1::3] * 0.02 * torch.rand(len(rows), *[1] * len(shape), generator=generator)
        if start == 0:
            _awkward(x)
        yield x


def _awkward(x: Tensor) -> None:
    """Overwrite the first rows by numbers that a runtime may stumble over."""
    rows = x.flatten(1)
    values = (torch.nan, torch.inf, -torch.inf, 3e38, -3e38, 1e-40, 0.0, -0.0, 2.0**40, 2.0**41)
    for row, value in zip(rows, values, strict=False):
        row.fill_(value)
    for row, value in zip(rows[len(values) :], values, strict=False):
        row[0] = value


def _compared(outcome: Outcome, wrapped: Wrapped, x: Tensor, ours: Answer, theirs: Answer) -> Outcome:
    logits, label, certified, radius = theirs
    same = (label == ours[1]) & (certified == ours[2])
    # The slack covers four errors of scores; two runtimes' scores differ by two.
    near = (ours[3] - float(wrapped.epsilon)).abs() <= _doubt(wrapped, x)
    excused = ~same & near & (certified != ours[2])
    wrong = ~(same | excused)
    answered = logits.argmax(1)
    wrong |= answered != torch.where(certified, label, wrapped.classes)
    wrong |= certified & ~(radius > float(wrapped.epsilon))
    return replace(
        outcome,
        points=outcome.points + len(x),
        certified=outcome.certified + int(ours[2].sum()),
        at_threshold=outcome.at_threshold + int(excused.sum()),
        differences=outcome.differences + int(wrong.sum()),
    )


def _doubt(wrapped: Wrapped, x: Tensor) -> Tensor:
    """Return how far radii of two runtimes may lie apart."""
    slack = wrapped.slack
    length = x.flatten(1).norm(dim=1).nan_to_num(0.0)
    allowed = slack.fixed + slack.rate * (length + slack.added).clamp_max(slack.limit)
    off_diagonal = wrapped.pairs[~np.eye(wrapped.classes, dtype=bool)]
    doubt: Tensor = allowed / float(off_diagonal.min())
    return doubt
