"""A short campaign with every test run, and the files that longer ones have left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import corpus, onnx_models
from tests.fuzz.campaign import Tally, distinct, inspected, run
from tests.fuzz.mutants import Mutant, mutant
from tests.fuzz.seeds import MODEL, Seed, own
from tests.inspecting import ACCEPTED, CRASH, Inspector, Outcome

CAMPAIGN, COUNT = 2026, 240
LARGEST_BYTES = 2**30


@pytest.fixture(scope="module")
def inspector() -> Iterator[Inspector]:
    with Inspector(inspection_s=60) as made:
        yield made


def test_a_mutant_is_the_same_file_every_time():
    again = [mutant(3, number, own()).data for number in range(40)]
    assert [mutant(3, number, own()).data for number in range(40)] == again
    assert len(set(again)) > 35


def test_mutations_of_a_message_still_parse_and_differ():
    data = next(seed.data for seed in own() if seed.name == "convolution.onnx")
    made = [onnx_models.mutate(data, Random(number)) for number in range(100)]
    assert sum(one is not None and one != data for one in made) > 80


def test_a_child_answers_every_mutant_by_itself(inspector):
    tally = Tally()
    for made, outcome in run(inspector, own(), CAMPAIGN, range(COUNT)):
        tally.add(made, outcome)

    assert tally.ends.total() == COUNT
    assert [(made.number, made.seed.name, outcome) for made, outcome in tally.findings] == []
    assert tally.peak_bytes < LARGEST_BYTES
    assert tally.ends[ACCEPTED] > COUNT / 50, "hardly a mutant is a network: the mutations are too wild"
    assert {"invalid-graph", "unsupported-operators", "unreadable-model"} <= set(tally.ends)


@pytest.mark.parametrize("seed", own(), ids=lambda seed: seed.name)
def test_every_seed_is_a_good_file(inspector, seed):
    """A seed that is refused keeps its mutants from going far."""
    outcome = inspected(inspector, seed, seed.data)
    assert outcome.end == ACCEPTED, outcome.detail


@pytest.mark.parametrize("path", corpus.kept(), ids=lambda path: path.name)
def test_what_was_found_once_is_refused_by_the_child(inspector, path: Path):
    data = path.read_bytes()
    outcome = inspector.dataset(data, path.name) if corpus.is_data(path) else inspector.model(data, path.name)
    assert outcome.orderly, outcome
    assert outcome.end != ACCEPTED
    assert outcome.peak_bytes < LARGEST_BYTES


def test_the_corpus_is_small_and_names_no_machine():
    files = [path.read_bytes() for path in corpus.kept()]
    assert sum(map(len, files)) < 300_000
    assert not [data for data in files if b"site-packages" in data or b"/home/" in data]


def test_figures_name_no_place_of_the_machine():
    tally = Tally()
    seed = Seed("a.onnx", MODEL, b"abc")
    tally.findings.append(
        (Mutant(0, seed, seed.data, 1), Outcome(CRASH, "  File /somewhere/x.py\nValueError: one"))
    )
    assert [finding["detail"] for finding in tally.figures()["findings"]] == ["ValueError: one"]


def test_one_finding_of_each_kind_is_kept():
    seed = Seed("a.onnx", MODEL, b"abc")
    made = [Mutant(number, seed, seed.data, 1) for number in range(3)]
    ends = [
        Outcome(CRASH, detail)
        for detail in ("File x\nValueError: one", "File y\nValueError: two", "KeyError: 1")
    ]
    assert len(distinct(list(zip(made, ends, strict=True)))) == 2
