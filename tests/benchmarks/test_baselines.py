"""What the engine is measured against computes the same thing, so that it is the time of an equal answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks import float32, forward
from benchmarks.bare import by_grids, without_radius
from benchmarks.bare_backward import without_charges
from benchmarks.bare_forms import without_errors, without_rounding
from glocert import engine, forms, segments
from glocert.budget import Budget
from glocert.forms import backward
from glocert.forms.path import Parts
from glocert.forms.path import forms as enter
from glocert.graph.run import run
from glocert.segments.curve import joined
from glocert.segments.events import sweep
from tests.benchmarks.networks import small
from tests.glocert.segments.networks import Draft, line, mlp


def questions():
    rng = np.random.default_rng(3)
    for seed in range(4):
        graph = small(seed) if seed % 2 else mlp(rng, 5, 30, 30, 4)
        segment = line(rng.random(graph.input_shape), rng.random(graph.input_shape))
        label = int(run(graph, torch.from_numpy(segment.start)[None]).argmax())
        yield graph, segment, label


def test_the_float32_curve_finds_the_share_of_the_proven_one():
    for graph, segment, label in questions():
        proven = segments.certify(by_grids(segments.prepare(graph)), segment, label)
        found = float32.certify(float32.prepare(graph), segment, label)
        assert found.share == pytest.approx(proven.robust_mass.lower, abs=1e-4)
        assert found.holds == (proven.verdict == "certified")
        assert found.points == pytest.approx(proven.pieces + 1, rel=0.02, abs=2)


def test_cutting_the_float32_curve_into_blocks_changes_nothing(monkeypatch):
    graph, segment, label = next(iter(list(questions())[1:]))
    whole = float32.certify(float32.prepare(graph), segment, label)
    monkeypatch.setattr(float32, "_BLOCK", 1)
    monkeypatch.setattr(float32, "_ROWS", 3)
    parts = float32.certify(float32.prepare(graph), segment, label)
    assert parts.points == whole.points
    assert parts.share == pytest.approx(whole.share, abs=1e-5)


def test_bisection_encloses_the_share():
    for graph, segment, label in questions():
        exact = segments.certify(graph, segment, label).robust_mass
        found = forward.certify(forward.prepare(graph), segment, label)
        assert found.low <= exact.upper + 1e-4
        assert found.high >= exact.lower - 1e-4
        assert found.high - found.low <= 1e-3 + 1e-9


def test_bounds_without_rounding_are_those_with_rounding_up_to_rounding():
    for graph, segment, label in questions():
        program = forms.prepare(graph)
        proven = forms.certify(program, segment, label)
        bare = forms.certify(without_errors(program), segment, label)
        assert bare.verdict == proven.verdict
        assert bare.robust_mass.lower == pytest.approx(proven.robust_mass.lower, abs=1e-3)


def test_the_engine_without_rounding_gives_the_same_answer_with_a_smaller_radius():
    for graph, segment, label in questions():
        program = engine.prepare(graph)
        proven = engine.certify(program, segment, label)
        bare = engine.certify(without_rounding(program), segment, label)
        assert bare.verdict == proven.verdict
        assert bare.radius <= proven.radius
        assert bare.robust_mass.lower == pytest.approx(proven.robust_mass.lower, abs=1e-3)


def test_events_are_followed_without_their_proof_to_the_same_scores():
    for graph, segment, _ in questions():
        program = segments.prepare(graph)
        proven, bare = segments.trace(program, segment), segments.trace(without_radius(program), segment)
        assert program.events is not None
        assert bare.t == pytest.approx(proven.t, abs=1e-12)
        assert np.abs(bare.scores - proven.scores).max() < 1e-12
        assert (bare.radius == 0.0).all()
        assert (proven.radius > 0.0).all()


def test_a_bare_run_that_has_no_more_room_goes_on():
    graph, segment, _ = next(iter(list(questions())[1:]))
    events = without_radius(segments.prepare(graph)).events
    (whole,), parts = (list(sweep.runs(events, segment, Budget(), room=room)) for room in (None, 5))
    assert len(parts) > 1
    assert np.abs(joined(parts).at(whole.t) - whole.scores).max() < 1e-12


def one_unit():
    """``(relu(x), relu(-x))``, of which every line is tight."""
    draft = Draft(1)
    both = draft.relu(draft.gemm("x", np.array([[1.0], [-1.0]], np.float32)))
    return draft.graph(draft.gemm(both, np.eye(2, dtype=np.float32))), line([-1.0], [2.0])


def test_forward_bounds_hold_on_wide_parts():
    for graph, segment in (one_unit(), *((graph, segment) for graph, segment, _ in questions())):
        u = torch.linspace(-1, 1, 101)
        t = (u.double() + 1) / 2
        shape = (-1, *(1,) * len(graph.input_shape))
        start, stop = torch.from_numpy(segment.start), torch.from_numpy(segment.stop)
        scores = run(graph, start + t.view(shape) * (stop - start))
        middle, half = ((start + stop) / 2).float(), ((stop - start) / 2).float()
        both = torch.stack([middle, half]).unsqueeze(1)
        found = forward.prepare(graph).scores(forward.Lines(both, torch.zeros_like(both[0])))
        lines = found.both[0] + u[:, None] * found.both[1]
        assert ((scores - lines).abs() <= found.error * (1 + 1e-5) + 1e-5).all()


def test_the_backward_pass_without_charges_is_the_proven_one_up_to_rounding():
    for graph, segment, _ in questions():
        reversal = backward.prepare(forms.prepare(graph))
        bare = without_charges(reversal, without_errors)
        ends = np.linspace(0.0, 1.0, 9)
        parts = Parts.between(ends[:-1], ends[1:])
        path = segment.loaded(torch.device("cpu"))
        classes = graph.output_shape[0]
        weights = torch.eye(classes, dtype=torch.float64).expand(8, -1, -1)
        one, other = (each.functionals(each.record(enter(path, parts, torch.device("cpu"))), weights)
                      for each in (reversal, bare))  # fmt: skip
        assert (one.lines() - other.lines()).abs().max() < 1e-9
        assert (other.error <= one.error).all()
        assert (one.error - other.error).max() < 1e-9
