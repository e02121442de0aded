"""Ranks: what is certified about the ranked network, against sorting in exact numbers and dense samples."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glocert.certification.top_k import WINNER, layers, ranked
from glocert.certification.unit import run
from glocert.errors import InvalidSpec
from glocert.forms import certify as bound
from glocert.graph.ir import Graph
from glocert.graph.run import run as execute
from glocert.paths.patterns import signs
from glocert.paths.segment import Segment
from glocert.segments import certify as follow
from glocert.spec import Analysis, Mutation, SegmentSpec, TopK, Verdict
from tests.glocert.segments.networks import mlp
from tests.glocert.segments.rational import exact_curve

KS = st.integers(2, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n - 1), st.integers(0, n - 1)))


def identity(count: int) -> Graph:
    return Graph("x", "x", (), {}, {"x": (count, 1)})


@pytest.mark.parametrize("count", range(1, 12))
def test_the_layers_sort_every_pattern_of_zeros_and_ones(count):
    """Then they sort everything (Knuth, theorem 5.3.4Z); pairs of a layer have no number in common."""
    network = list(layers(count))
    for pairs in network:
        assert len({at for pair in pairs for at in pair}) == 2 * len(pairs)
    for pattern in product([0, 1], repeat=count):
        z = list(pattern)
        for pairs in network:
            for i, j in pairs:
                z[i], z[j] = max(z[i], z[j]), min(z[i], z[j])
        assert z == sorted(pattern, reverse=True)


@given(KS, st.data())
def test_class_0_wins_exactly_among_the_k_best(shape, data):
    """Whole numbers, so that float64 is exact and ties are frequent."""
    count, k, label = shape
    y = data.draw(st.lists(st.integers(-3, 3), min_size=count, max_size=count))
    network = ranked(identity(count), label, k)
    assert network.output_shape == (2,)
    scores = execute(network, torch.tensor(y, dtype=torch.float64).reshape(1, count, 1))[0].tolist()
    others = sorted([*y[:label], *y[label + 1 :]], reverse=True)
    assert scores == [y[label], others[k - 1]]
    holds = sum(other >= y[label] for other in others) < k
    assert (scores[WINNER] > scores[1]) == holds


@pytest.mark.parametrize("seed", range(8))
def test_masses_are_those_of_exact_sorting(seed):
    """The ranked network in exact arithmetic, against ranks counted on the exact curve of the network."""
    rng = np.random.default_rng(seed)
    graph = mlp(rng, 3, 8, 5)
    segment = Segment(rng.normal(size=3) * 3, rng.normal(size=3) * 3, np.zeros(3))
    label, k = int(rng.integers(5)), int(rng.integers(2, 5))
    network = ranked(graph, label, k)
    exact = exact_curve(network, segment).robust_mass(WINNER)
    curve = exact_curve(graph, segment)
    t = [Fraction(at, 997) for at in range(998)]
    scores = curve.at(t)
    holds = [sum(row[label] <= other for other in np.delete(row, label)) < k for row in scores]
    assert abs(float(exact) - np.mean(holds)) < 0.02
    for found in (
        follow(network, segment, WINNER),
        bound(network, segment, WINNER, analysis=Analysis.QUANTITATIVE),
    ):
        assert Fraction(found.robust_mass.lower) <= exact <= Fraction(found.robust_mass.upper)
        assert (found.verdict is Verdict.CERTIFIED) == (exact == 1)
        inside = [ok for at, ok in zip(t, holds, strict=True) if at <= Fraction(found.certified_to)]
        assert all(inside)


@pytest.fixture
def five(make_case, affine):
    """Scores of five classes that change places along the path."""
    rng = np.random.default_rng(3)
    graph = affine(rng.normal(size=(5, 2)).tolist(), rng.normal(size=5).tolist())
    inputs = rng.uniform(0.1, 0.5, size=(20, 2)).astype(np.float32)
    first = (inputs @ graph.parameters["w"].T + graph.parameters["b"]).argmax(1)
    return graph, inputs, make_case(graph, inputs, first.tolist())


@pytest.mark.parametrize("margin", [0.0, 0.2])
def test_rows_agree_with_dense_samples(five, tmp_path, margin):
    graph, inputs, case = five
    seen = set()
    for k in range(1, 5):
        spec = SegmentSpec(Mutation("noise", 0.0, 0.5), property=TopK(k), margin=margin)
        for report in run(case, spec, range(20), tmp_path):
            row = report.to_json()

            t = np.linspace(0, 1, 1001)
            path = np.clip(inputs[report.index] + t[:, None] * 0.5 * signs(0, (2,)), 0, 1)
            y = path @ graph.parameters["w"].T + graph.parameters["b"]
            mine, others = y[:, report.label], np.delete(y, report.label, axis=1)
            ahead = mine - np.sort(others, axis=1)[:, -k] > margin
            assert (report.verdict is Verdict.CERTIFIED) == ahead.all()
            assert ahead.mean() == pytest.approx(row["robust_mass"]["lower"], abs=3e-3)
            seen.add((k, report.verdict))
            if report.verdict is Verdict.FALSIFIED:
                found = row["counterexample"]
                assert margin or found["predicted"] != report.label
    assert (1, Verdict.FALSIFIED) in seen
    assert (4, Verdict.CERTIFIED) in seen


def test_more_places_hold_at_least_as_long(five, tmp_path):
    *_, case = five
    before = [0.0] * 20
    for k in range(1, 5):
        spec = SegmentSpec(Mutation("noise", 0.0, 0.5), property=TopK(k))
        reached = [
            report.to_json()["robust_mass"]["upper"] for report in run(case, spec, range(20), tmp_path)
        ]
        assert all(new >= old - 1e-9 for new, old in zip(reached, before, strict=True))
        before = reached


def test_a_label_outside_the_first_k_is_skipped(make_case, affine, tmp_path):
    case = make_case(affine([[0.0]] * 4, [4.0, 3.0, 2.0, 1.0]), np.full((1, 1), 0.5, np.float32), [2])
    for k, verdict in ((2, Verdict.SKIPPED), (3, Verdict.CERTIFIED)):
        (report,) = run(case, SegmentSpec(Mutation("brightness", 0.0, 0.1), property=TopK(k)), [0], tmp_path)
        assert (report.verdict, report.predicted, report.label) == (verdict, 0, 2)


def test_a_tie_for_the_last_place_is_never_certified(make_case, affine, tmp_path):
    case = make_case(affine([[0.0]] * 3, [2.0, 1.0, 1.0]), np.full((1, 1), 0.5, np.float32), [1])
    (report,) = run(case, SegmentSpec(Mutation("brightness", 0.0, 0.1), property=TopK(2)), [0], tmp_path)
    assert (report.verdict, report.reason) == (Verdict.UNDECIDED, "tie")


@pytest.mark.parametrize(("k", "classes"), [(0, 3), (3, 3), (2, 129)])
def test_ranks_that_cannot_be_asked_for(k, classes):
    with pytest.raises(InvalidSpec):
        ranked(identity(classes), 0, k)
