"""Bounds of the robust mass close in and never open again."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from benchmarks import growth
from benchmarks.questions import Question, label_of
from tests.benchmarks.networks import small
from tests.glocert.segments.networks import line


@pytest.mark.parametrize("seed", [1, 2])
def test_anytime_bounds_only_get_closer(seed):
    graph, rng = small(seed), np.random.default_rng(seed)
    path = line(rng.random(graph.input_shape), rng.random(graph.input_shape))
    for each in growth.gaps(Question("small", "chord", graph, path, label_of(graph, path.start))).values():
        assert each[0][1:] == (0.0, 1.0)
        for (before, low, high), (after, lower, upper) in pairwise(each):
            assert before <= after
            assert low - 1e-9 <= lower <= upper <= high + 1e-9
        assert each[-1][2] - each[-1][1] < 1e-3


def test_a_shorter_path_is_the_start_of_the_longer():
    path = line([0.0, 1.0], [1.0, 3.0])
    assert growth.shortened(path, 0.5).stop.tolist() == [0.5, 2.0]
