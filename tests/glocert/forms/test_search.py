"""How rows are cut and which are bounded again is a guess: no guess makes an answer wrong."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glocert.forms import backward, prepare
from glocert.forms.decision import Decided
from glocert.forms.margins import Margins
from glocert.forms.path import Parts
from glocert.forms.rounds import Bounds, run
from glocert.forms.search import Row, Search
from glocert.forms.verdicts import enough
from glocert.spec import Analysis
from tests.glocert.forms.test_verdicts import assert_true
from tests.glocert.segments.networks import Wild, line, random_segment
from tests.glocert.segments.rational import exact_curve

CPU = torch.device("cpu")
GUESSES = [0.0, 1e-300, 1e-9, 1.0, -1.0, 1e9, 1e300, np.inf, -np.inf, np.nan]


def searching(seen: list[float] | None) -> Search:
    search = Search(line([0.0], [1.0]).loaded(CPU), 0, 0.0)
    if seen is not None:
        search.seen = np.linspace(0, 1, len(seen)), np.array(seen)
    return search


@settings(max_examples=60)
@given(st.integers(0, 10**9), st.booleans(), st.lists(st.sampled_from(GUESSES), min_size=2, max_size=7))
def test_answers_are_true_whatever_was_seen(seed, whole, seen):
    rng = np.random.default_rng(seed)
    graph = Wild(rng, whole).build(int(rng.integers(1, 4)))
    segment = random_segment(rng, graph.input_shape, whole)
    truth, bounds = exact_curve(graph, segment), Bounds(backward.prepare(prepare(graph)), None, 2**26)
    for label in range(graph.output_shape[0]):
        search = Search(segment.loaded(CPU), label, 0.0)
        search.seen = np.linspace(0, 1, len(seen)), np.array(seen)
        search.begin()
        run(bounds, search, lambda search=search: enough(search, Analysis.COMPLETE, 0.001))
        assert_true(search.ledger.report(pending=False), truth, label)


def test_the_margin_is_expected_between_what_was_seen():
    rows = [Row(0.0, 0.5), Row(0.25, 0.75), Row(0.5, 1.0), Row(0.75, 1.0)]
    found = searching([1.0, 3.0, -1.0]).expected(rows)
    assert found[0] == 2.0
    assert found[1] == 1.5
    assert np.isnan(found[2])
    assert np.isnan(found[3])
    assert np.isnan(searching(None).expected(rows)).all()


@pytest.mark.parametrize(
    ("seen", "error", "count"),
    [
        (None, 30.0, 2),  # of the centre, 10
        (None, 1e3, 4),
        ([0.01, 0.01], 30.0, 8),  # the centre is far from the margin
        ([1.0, 1.0], 100.0, 4),
        ([10.0, 10.0], 100.0, 4),
        ([1.0, -1.0], 30.0, 2),  # a crossing: what was seen says nothing
        ([np.nan, 1.0], 30.0, 2),
        ([0.01, 0.01], np.inf, 2),
    ],
)
def test_rows_are_cut_by_what_was_seen(seen, error, count):
    search, parts = searching(seen), Parts.between(np.array([0.25]), np.array([0.5]))
    known = Margins(parts, np.array([[10.0]]), np.zeros((1, 1)), np.array([[error]]), np.ones(1))
    search.learn([Row(0.25, 0.5)], known, Decided([], [], [(0.25, 0.5, 0)]))
    ends = sorted((row.start, row.stop) for row in search.pending)
    assert len(ends) == count
    assert (ends[0][0], ends[-1][1]) == (0.25, 0.5)
    assert all(one[1] == other[0] for one, other in pairwise(ends))
