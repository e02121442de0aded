"""The benchmark of true motions: both ways are about the same path, and the page shows them."""

from __future__ import annotations

from dataclasses import asdict

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


def test_the_section_has_a_line_per_case():
    once = {"share": 0.5, "certified": 1, "median_s": 0.01}
    row = rotation.Row("net", "rotation", 2, 2, 1.0, 1, 1, 0.9, 0.1, 0.2, 60.0, {"10": once, "100": once})
    text = rotation.page({"machine": "here", "rows": [asdict(row)]}, _table)
    assert "| net | rotation | 2 | 2 | 1.0000 | 1 / 1 |" in text
    assert "10 chunks" in text
