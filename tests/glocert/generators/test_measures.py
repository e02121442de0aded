"""A40: measures along a path against exact rational curves, quadrature and known motions."""

from __future__ import annotations

from itertools import pairwise
from math import sqrt

import numpy as np
import pytest
import torch

from glocert.budget import Budget
from glocert.generators.measures import measure
from glocert.graph.run import run
from glocert.paths.segment import Segment
from tests.glocert.segments.networks import Draft, line, mlp, random_segment
from tests.glocert.segments.rational import exact_curve

SEEDS = range(4)


@pytest.mark.parametrize("seed", SEEDS)
def test_speeds_and_lengths_are_those_of_the_exact_curve(seed):
    rng = np.random.default_rng(seed)
    graph = mlp(rng, 3, 9, 9, 6)
    path = random_segment(rng, (3,))
    found, truth = measure(graph, path), exact_curve(graph, path)
    speeds, lengths = [], []
    for (t0, t1), (x0, x1) in zip(pairwise(truth.t), pairwise(truth.scores), strict=True):
        lengths.append(sqrt(float(((x1 - x0) ** 2).sum())))
        speeds.append(lengths[-1] / float(t1 - t0))
    length = sum(lengths)
    assert found.exact
    assert found.fastest == pytest.approx(max(speeds), rel=1e-9)
    assert found.slowest == pytest.approx(min(speeds), rel=1e-9)
    assert found.length == pytest.approx(length, rel=1e-12)
    assert found.largest_piece >= max(lengths) - 1e-12
    slow = sum(float(b - a) for (a, b), v in zip(pairwise(truth.t), speeds, strict=True) if v < 0.05 * length)
    assert found.stall == pytest.approx(slow, abs=1e-9)
    assert found.distance == pytest.approx(sqrt(float(((truth.scores[-1] - truth.scores[0]) ** 2).sum())))
    assert found.length >= found.distance - 1e-12
    assert 0 < found.straightness <= 1 <= found.jump_index + 1e-12


@pytest.mark.parametrize("seed", SEEDS)
def test_leakage_is_what_quadrature_finds(seed):
    rng = np.random.default_rng(seed)
    graph, path = mlp(rng, 4, 30, 30, 8), random_segment(rng, (4,))
    mask = np.zeros(8, bool)
    mask[:3] = True
    found = measure(graph, path, mask)
    t = (np.arange(100_000) + 0.5) / 100_000
    codes = path.start + t[:, None] * (path.stop - path.start)
    change = (
        run(graph, torch.from_numpy(codes)).numpy() - run(graph, torch.from_numpy(path.start[None])).numpy()
    )
    whole, behind = (change**2).sum(1).mean(), (change[:, 3:] ** 2).sum(1).mean()
    assert found.leakage == pytest.approx(behind / whole, abs=1e-6)
    assert found.moved == pytest.approx(whole, rel=1e-6)
    assert found.background == pytest.approx(np.abs(change[:, 3:]).max(), abs=1e-3)
    assert found.background >= np.abs(change[:, 3:]).max() - 1e-12


@pytest.mark.parametrize("seed", SEEDS)
def test_blocks_of_any_size_measure_the_same(seed):
    rng = np.random.default_rng(seed)
    graph, path = mlp(rng, 3, 20, 20, 5), random_segment(rng, (3,))
    mask = np.array([True, False, False, True, False])
    whole, cut = (measure(graph, path, mask, Budget(block_bytes=size)) for size in (2**26, 2**12))
    for name in ("pieces", "fastest", "slowest", "length", "stall", "moved", "leaked", "background"):
        assert getattr(whole, name) == pytest.approx(getattr(cut, name), rel=1e-9)


def bend(levels, slopes) -> Draft:
    """One number that starts at 0 and has these slopes, changing at these t."""
    draft = Draft(1)
    changes = np.diff([0.0, *slopes])
    starts = np.array([0.0, *levels])
    hidden = draft.relu(draft.gemm("x", np.ones((len(starts), 1)), -starts))
    return draft, draft.gemm(hidden, changes[None])


def test_a_stop_and_a_jump_are_seen():
    draft, y = bend([0.5, 0.75], [1.0, 0.0, 12.0])
    found = measure(draft.graph(y), line([0.0], [1.0]))
    assert found.length == pytest.approx(0.5 + 3.0)
    assert (found.fastest, found.slowest) == pytest.approx((12.0, 0.0))
    assert found.jump_index == pytest.approx(12.0 / 3.5)
    assert found.stall == pytest.approx(0.25)
    assert found.straightness == pytest.approx(1.0)
    assert found.largest_share == pytest.approx(3.0 / 3.5)


@pytest.mark.parametrize(("slope", "stall"), [(0.06, 0.0), (0.04, 0.5)])
def test_standing_still_is_a_twentieth_of_the_mean_speed(slope, stall):
    draft, y = bend([0.5], [slope, 2.0 - slope])
    assert measure(draft.graph(y), line([0.0], [1.0])).stall == pytest.approx(stall)


def test_there_and_back_is_not_straight():
    draft, y = bend([0.5], [1.0, -1.0])
    found = measure(draft.graph(y), line([0.0], [1.0]))
    assert found.distance == pytest.approx(0.0, abs=1e-12)
    assert found.length == pytest.approx(1.0)
    assert found.straightness == pytest.approx(0.0, abs=1e-12)


def test_what_never_moves_has_no_index():
    draft = Draft(1)
    found = measure(draft.graph(draft.gemm("x", [[0.0]], [3.0])), line([0.0], [1.0]), np.array([True]))
    assert (found.jump_index, found.straightness, found.leakage) == (None, None, None)
    assert (found.stall, found.length) == (1.0, 0.0)
    assert found.independency() == {"leakage": None, "background_change": 0.0}


def test_smooth_generators_are_sampled():
    draft = Draft(1)
    found = measure(draft.graph(draft.same("Tanh", "x")), line([-1.0], [1.0]))
    assert not found.exact
    assert found.length == pytest.approx(2 * np.tanh(1.0), rel=1e-9)
    assert found.fastest == pytest.approx(2.0, rel=1e-3)
    assert found.independency() is None


def test_without_time_the_image_is_sampled():
    rng = np.random.default_rng(0)
    graph, path = mlp(rng, 3, 20, 4), random_segment(rng, (3,))
    late = measure(graph, path, budget=Budget(deadline=0.0, clock=lambda: 1.0))
    assert not late.exact
    assert late.length == pytest.approx(measure(graph, path).length, rel=1e-2)


def test_a_mask_over_all_channels_covers_each():
    draft = Draft(2)
    hidden = draft.gemm("x", np.repeat(np.eye(2), 4, axis=0).astype(np.float32))
    picture = draft.graph(draft.reshape(hidden, 2, 2, 2))
    left = np.array([[True, False], [True, False]])
    found = measure(picture, Segment(np.zeros(2), np.array([1.0, 3.0]), np.zeros(2)), left)
    assert found.leakage == pytest.approx(0.5)
    assert found.background == pytest.approx(3.0)
    assert found.pieces == 1
