"""The benchmark of true motions: both ways are about the same path, and the page shows them."""

from __future__ import annotations

import numpy as np

from benchmarks import rotation
from benchmarks.page import _table
from benchmarks.questions import label_of
from glocert import engine
from glocert.paths.motions import Rotation
from glocert.paths.warp import Warp
from tests.benchmarks.networks import small


def test_chunks_bounded_once_never_prove_more_than_the_loop():
    graph, rng = small(3), np.random.default_rng(3)
    path = Warp(rng.random(graph.input_shape), np.zeros(graph.input_shape), Rotation(-30.0, 30.0))
    program, label = engine.prepare(graph), label_of(graph, path.at([0.5]))
    whole = rotation._certified(program, path, label).robust_mass
    few, many = (rotation._bounded_once(program, path, label, chunks)[0] for chunks in (2, 64))
    assert few <= whole.upper + 1e-12
    assert many <= whole.upper + 1e-12


def row(image: int, **changed: object) -> dict[str, object]:
    case = rotation.CASES[0]
    found = {"network": case.network, "motion": case.title, "image": image, "verdict": "certified",
             "mass": [1.0, 1.0], "seconds": 0.1, "rows": 60, "machine": "here",
             "chunks": {"10": [0.5, 0.01], "100": [1.0, 0.02]}}  # fmt: skip
    return found | changed


def test_the_section_has_a_line_per_case():
    rows = [row(0), row(3, verdict="falsified", mass=[0.6, 0.7], seconds=0.2, machine="there")]
    text = rotation.page({"rows": rows}, _table)
    assert "| mnist_conv_small | rotation by ±45° | 2 | 1 | 0.9000 | 1 / 1 | 0.8000 |" in text
    assert "10 chunks" in text
    assert "here; there" in text


def test_a_session_keeps_what_others_measured_and_leaves_it_out(tmp_path, monkeypatch):
    graph, rng = small(3), np.random.default_rng(3)
    images = rng.random((4, *graph.input_shape))
    asked = []

    def measured(program, path, label):
        asked.append(label)
        return {key: row(0)[key] for key in ("verdict", "mass", "seconds", "rows", "chunks")}

    monkeypatch.setattr(rotation, "network", lambda name: name)
    monkeypatch.setattr(rotation, "whole", lambda model: graph)
    monkeypatch.setattr(rotation, "measured", measured)
    monkeypatch.setattr(
        rotation, "_right", lambda model, graph, count: ((at, images[at], at) for at in range(count))
    )
    file, case, other = tmp_path / "rotation.json", *rotation.CASES[:2]
    rotation._keep(file, [row(1), row(1, motion=other.title, seconds=9.0)])
    rotation._session(case, 3, file, rotation.kept.Watch(None))
    assert asked == [0, 2]
    assert [(one["motion"], one["image"]) for one in rotation.kept.rows(file)] == [
        (case.title, 0), (case.title, 1), (case.title, 2), (other.title, 1)]  # fmt: skip
    rotation._session(case, 4, file, rotation.kept.Watch(0.0))
    assert asked == [0, 2]
