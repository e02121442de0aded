"""A campaign finds an engine that proves too much, in every way that it looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks import agreement, agreement_checks, kept, samples
from benchmarks.agreement_rows import keep, summary
from benchmarks.questions import Question, label_of, mutated, network, whole
from glocert import engine, segments
from glocert.report import Interval
from glocert.spec import Verdict
from tests.benchmarks.networks import small
from tests.glocert.segments.networks import line


def question(seed: int) -> Question:
    graph = small(seed)
    rng = np.random.default_rng(seed)
    path = line(rng.random(graph.input_shape), rng.random(graph.input_shape))
    return Question("small", "chord", graph, path, label_of(graph, path.start))


@pytest.fixture(params=[1, 4, 7])
def asked(request):
    found = question(request.param)
    return found, (engine.prepare(found.graph), segments.prepare(found.graph))


def test_nothing_contradicts_the_engine(asked):
    question, programs = asked
    line = agreement.examine(question, *agreement.ask(programs[0], [question]), programs[1], 2000)
    assert line["contradictions"] == []
    assert line["samples"] == 2000


def falsified() -> tuple[Question, tuple[engine.Program, segments.Program]]:
    for seed in range(20):
        found = question(seed)
        programs = engine.prepare(found.graph), segments.prepare(found.graph)
        answer = engine.certify(programs[0], found.segment, found.label)
        if answer.verdict is Verdict.FALSIFIED and 0.01 < answer.certified_to < 0.99:
            return found, programs
    raise AssertionError("every path is certified")


def test_a_safe_set_that_is_a_thousandth_too_wide_is_found():
    question, programs = falsified()
    (answer,) = agreement.ask(programs[0], [question])
    line = agreement.examine(question, agreement_checks.widened(answer, 1e-3), programs[1], 20_000)
    said = " ".join(line["contradictions"])
    for word in ("shares", "extent", "samples lose", "of the samples", "attack"):
        assert word in said, said


def test_events_that_are_followed_wrongly_are_found():
    found, _ = falsified()
    program, plain = engine.prepare(found.graph), segments.prepare(found.graph)
    layers, edges, weights, positions, below = program.curve.events.plan
    wrong = replace(program.curve.events, plan=(layers, edges, weights * np.float32(0.999), positions, below))
    program._curve = replace(program.curve, events=wrong)
    answers = agreement.ask(program, [found])
    assert agreement.examine(found, *answers, program.curve, 2000)["contradictions"]
    known, same = (agreement_checks.truth(each, found) for each in (program.curve, plain))
    assert known == same, "the plain curve must not follow events"


def test_a_wrong_verdict_is_found_by_samples_alone():
    found, programs = falsified()
    answer = engine.certify(programs[0], found.segment, found.label)
    lie = replace(answer, verdict=Verdict.CERTIFIED, robust_mass=Interval(1.0, 1.0), certified_to=1.0)
    path = samples.Path.of(found)
    t = samples.stratified(2000, 0)
    assert list(agreement_checks.refuted(lie, path, t, path.margins(t)))
    assert list(agreement_checks.contradicted(lie, agreement_checks.truth(programs[1], found)))


def test_a_witness_that_is_none_is_found():
    found, programs = falsified()
    answer = replace(engine.certify(programs[0], found.segment, found.label), witnesses=(0.0,))
    path, t = samples.Path.of(found), samples.stratified(500, 0)
    assert any("witness" in said for said in agreement_checks.refuted(answer, path, t, path.margins(t)))


def test_an_attack_finds_what_coarse_samples_miss():
    found, programs = falsified()
    answer = engine.certify(programs[0], found.segment, found.label)
    beyond = replace(answer, certified_to=answer.certified_to + 1e-7)
    path, t = samples.Path.of(found), samples.stratified(200, 0)
    seen = path.margins(t)
    assert not [said for said in agreement_checks.refuted(beyond, path, t, seen) if "lose" in said]
    assert list(agreement_checks.attacked(beyond, path, t, seen))
    assert not list(agreement_checks.attacked(answer, path, t, seen))


def test_bfloat16_first_tells_the_same_signs():
    t, left = samples.stratified(2000, 0), 0
    for seed in range(20):
        path = samples.Path.of(question(seed))
        exact, seen = path.exact(t), path.margins(t, tiles=True)
        apart = np.abs(exact) > agreement_checks.TIE
        assert ((exact > 0) == (seen > 0))[apart].all()
        left += int((seen != path.margins(t, tiles=False)).sum())
    assert left > 1000, "no sample was left to bfloat16"


def test_a_campaign_goes_on_where_it_stopped(tmp_path):
    file = tmp_path / "lines.jsonl"
    agreement._append(file, {"model": "m", "mutation": "chord", "item": 0, "contradictions": []})
    agreement._append(file, {"model": "m", "mutation": "chord", "item": 1, "contradictions": []})
    assert [line["item"] for line in agreement._lines(file)] == [0, 1]


def line_of(item: int, mutation: str, found: Sequence[str] = ()) -> dict[str, Any]:
    """Return what a campaign writes about a path."""
    said = {"verdict": "certified", "mass": [0.5, 0.5 + 0.01 * item], "to": 0.5}
    facts = {"engine": said, "curve": said, "weaker": [], "samples": 100, "contradictions": list(found)}
    return {"model": "mnist_tiny_20", "mutation": mutation, "item": item, **facts}


def test_a_row_is_about_the_inputs_that_have_every_mutation():
    lines = [line_of(item, mutation) for item in range(5) for mutation in ("fog", "haze")][:-1]
    lines[3] = {**{key: lines[3][key] for key in ("model", "mutation", "item")}, "skipped": "no image"}
    row = summary("mnist_tiny_20", lines, 0, ["fog", "haze"])
    assert (row["inputs"], row["paths"], row["samples"]) == ([0, 4], 7, 700)
    assert summary("mnist_tiny_20", lines, 2, ["fog", "haze"])["inputs"] == [2, 4]
    assert summary("mnist_fc_256x2", lines, 0, ["fog", "haze"])["inputs"] == [0, 0]


def test_a_campaign_goes_on_from_what_another_session_kept(tmp_path):
    file = tmp_path / "agreement.json"
    lines = [line_of(item, "fog", ["wrong"] * (item == 3)) for item in range(6)]
    first, second = (
        summary("mnist_tiny_20", part, part[0]["item"], ["fog"]) for part in (lines[:2], lines[2:])
    )
    whole = summary("mnist_tiny_20", lines, 0, ["fog"])
    keep(file, [{**first, "points": 100}])
    keep(file, [{**second, "points": 100}])
    assert kept.rows(file) == [{**whole, "points": 100}]
    assert (whole["inputs"], whole["contradictions"]) == ([0, 6], 1)


def test_other_samples_do_not_add_up(tmp_path):
    file = tmp_path / "agreement.json"
    row = summary("mnist_tiny_20", [line_of(0, "fog")], 0, ["fog"])
    keep(file, [{**row, "points": 100}])
    keep(file, [{**row, "inputs": [1, 2], "points": 10, "samples": 10}])
    assert kept.rows(file) == [{**row, "points": 100}]


@pytest.mark.shared
def test_every_mutation_of_a_real_network_is_examined(shared_data):
    model = network("mnist_tiny_20", shared_data)
    graph = whole(model)
    programs = engine.prepare(graph), segments.prepare(graph)
    asked = [mutated(model, agreement.mutation(model, name, 1), 1, graph) for name in agreement.MUTATIONS]
    for question, answer in zip(asked, agreement.ask(programs[0], asked), strict=True):
        assert agreement.examine(question, answer, programs[1], 1000)["contradictions"] == []
