"""One pass of bounds over whole paths, many of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glocert.engine import Question, certify, certify_many, prepare
from glocert.engine.glance import BATCH, FIRST, glance
from glocert.graph.ir import Graph
from glocert.graph.run import run as execute
from glocert.paths.segment import Segment, whole
from glocert.report import WHOLE
from glocert.rounding import UP
from glocert.spec import Verdict
from tests.glocert.segments.networks import Draft, Wild, line, random_segment
from tests.glocert.segments.rational import exact_curve


def convolutional(rng: np.random.Generator) -> Graph:
    """Return a small classifier of images."""
    draft = Draft(1, 6, 6)
    x = draft.relu(draft.conv("x", rng.standard_normal((4, 1, 3, 3)) / 3, rng.standard_normal(4), (2, 2)))
    return draft.graph(draft.gemm(draft.flat(x), rng.standard_normal((4, 16)), rng.standard_normal(4)))


def short(rng: np.random.Generator, graph: Graph, lengths: Sequence[float]) -> list[Question]:
    """Ask whether the class at the start wins, on paths of some lengths."""
    starts = rng.standard_normal((len(lengths), *graph.input_shape))
    labels = execute(graph, torch.from_numpy(starts)).flatten(1).argmax(1).tolist()
    steps = rng.standard_normal(starts.shape) * np.reshape(lengths, (-1, *(1,) * len(graph.input_shape)))
    return [
        Question(line(start, start + step), label)
        for start, step, label in zip(starts, steps, labels, strict=True)
    ]


@settings(max_examples=60)
@given(st.integers(0, 10**9), st.booleans())
def test_what_a_glance_proves_is_true(seed, integral):
    """Against the exact curve: the property, and the margin in the middle within its error."""
    rng = np.random.default_rng(seed)
    graph = Wild(rng, integral).build(int(rng.integers(1, 4)))
    paths = [random_segment(rng, graph.input_shape, integral) for _ in range(3)]
    shrunk = [Segment(one.start, one.start + (one.stop - one.start) / 64, one.radius) for one in paths]
    label = int(rng.integers(np.prod(graph.output_shape)))
    asked = [Question(path, label, 0.01 * at) for at, path in enumerate(paths + shrunk)]
    for question, found in zip(asked, glance(prepare(graph), asked), strict=True):
        if found is None:
            continue
        curve = exact_curve(graph, question.path)
        scores = [[row[label] - score for at, score in enumerate(row) if at != label] for row in curve.scores]
        assert min(map(min, scores)) > Fraction(question.margin)
        assert (found.verdict, found.robust_mass, found.certified_to) == (Verdict.CERTIFIED, WHOLE, 1.0)


def test_its_margin_is_the_one_in_the_middle_within_its_error():
    rng = np.random.default_rng(0)
    graph = convolutional(rng)
    asked = short(rng, graph, [0.02] * 40)
    found = [
        (one, report) for one, report in zip(asked, glance(prepare(graph), asked), strict=True) if report
    ]
    assert len(found) > 20
    for question, report in found:
        middle = torch.from_numpy(question.path.at([0.5])[None])
        scores = execute(graph, middle).flatten().tolist()
        own = scores.pop(question.label)
        assert report.min_margin == pytest.approx(own - max(scores), abs=report.radius)
        assert 0 < report.radius < report.min_margin


def test_many_paths_are_enclosed_as_each_alone():
    rng = np.random.default_rng(1)
    paths = [random_segment(rng, (2, 3)) for _ in range(5)]
    together, half = whole(paths, torch.device("cpu")), torch.full((1, 1), 0.5, dtype=torch.float64)
    for at, path in enumerate(paths):
        alone = path.loaded(torch.device("cpu")).enclose(half, half * UP)
        assert torch.equal(together.lines[:, at], alone.lines[:, 0])
        assert torch.equal(together.error[at], alone.error[0])


@pytest.mark.usefixtures("threads_kept")
def test_no_number_depends_on_how_many_threads_there_are():
    rng = np.random.default_rng(2)
    graph = convolutional(rng)
    asked = short(rng, graph, rng.choice([0.01, 0.5], FIRST + 2 * BATCH + 9))
    answers = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        found = {answer.position: answer.report for answer in certify_many(prepare(graph), asked)}
        answers.append([found[at] for at in range(len(asked))])
    assert answers[0] == answers[1] == answers[2]
    assert len({report.pieces > 1 for report in answers[0]}) == 2  # some are seen at a glance, some are not
    for question, report in zip(asked, answers[0], strict=True):
        alone = certify(prepare(graph), question.path, question.label)
        assert (report.verdict, report.certified_to) == (alone.verdict, pytest.approx(alone.certified_to))
        assert report.robust_mass.lower == pytest.approx(alone.robust_mass.lower, abs=1e-9)


def test_it_stops_where_the_first_are_hard(monkeypatch):
    """Another glance at as many easy ones would prove them, and is not given."""
    rng = np.random.default_rng(3)
    graph = convolutional(rng)
    asked = short(rng, graph, [3.0] * FIRST + [0.001] * BATCH)
    seen: list[int] = []

    def counted(program, questions):
        seen.append(len(questions))
        return glance(program, questions)

    monkeypatch.setattr("glocert.engine.together.glance", counted)
    assert len(list(certify_many(prepare(graph), asked))) == len(asked)
    assert seen == [FIRST]
    assert len(list(certify_many(prepare(graph), asked[::-1]))) == len(asked)
    assert seen == [FIRST, FIRST, BATCH]
