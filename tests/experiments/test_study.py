"""The parts of the study that its figures hang on: rectangles, and the rival that merges."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from experiments.study import ablation, classifiers, rectangles
from experiments.study.merging import Setting, merged
from glocert import segments
from glocert.graph.imported import as_classifier
from glocert.graph.ir import Graph
from glocert.graph.run import run
from glocert.graph.torchscript import read_torchscript
from glocert.paths.segment import Segment


@pytest.mark.parametrize("angle", [0.0, 10.0, 25.0, 45.0, 70.0])
def test_the_smallest_rectangle_has_the_drawn_sides_and_angle(angle):
    image = rectangles.pictures(*(np.array([value]) for value in (15.0, 17.0, 18.0, 10.0, angle)))[0] / 255
    found = rectangles.enclosing(image)
    assert found is not None
    assert (found.x, found.y) == (pytest.approx(15.0, abs=0.3), pytest.approx(17.0, abs=0.3))
    assert (found.long, found.short) == (pytest.approx(18.0, abs=0.5), pytest.approx(10.0, abs=0.5))
    assert abs((found.angle - angle + 45) % 90 - 45) < 1.0


def test_nothing_has_no_rectangle():
    assert rectangles.enclosing(np.zeros((32, 32))) is None


def test_angles_go_on_across_a_right_angle():
    assert rectangles.unwrapped([80.0, 88.0, 3.0, 11.0]).tolist() == pytest.approx([80.0, 88.0, 93.0, 101.0])


def test_merging_encloses_what_is_exact_and_is_exact_without_need():
    torch.manual_seed(0)
    graph = as_graph(classifiers.f2(10).eval(), classifiers.SHAPE)
    program, gaps = segments.prepare(graph), []
    for _ in range(3):
        start, stop = torch.rand(2, *classifiers.SHAPE, dtype=torch.float64)
        ends = start.numpy(), stop.numpy()
        label = int(run(graph, start[None]).argmax())
        exact = segments.certify(program, Segment(*ends, np.zeros(classifiers.SHAPE)), label).robust_mass
        found = merged(graph, start, stop, label)
        assert (found.lower, found.upper) == (pytest.approx(exact.lower), pytest.approx(exact.upper))
        rough = merged(graph, start, stop, label, Setting(long=50, share=0.5, parts=20.0))
        assert rough.lower - 1e-9 <= exact.lower <= exact.upper <= rough.upper + 1e-9
        gaps.append(rough.upper - rough.lower)
    assert max(gaps) > 1e-3


def as_graph(module: torch.nn.Module, shape: tuple[int, ...]) -> Graph:
    stream = io.BytesIO()
    torch.jit.save(torch.jit.trace(module, torch.zeros(1, *shape)), stream)
    return as_classifier(read_torchscript(stream.getvalue(), input_shape=shape)[0].graph)


@pytest.mark.parametrize(
    ("ends", "goes", "by"),
    [(ablation._moved, ablation._columns, 12.0), (ablation._turned, ablation._angles, 30.0)],
)
def test_pairs_of_the_ablation_differ_by_one_mutation_that_is_seen(ends, goes, by):
    for pair in zip(*ends(4), strict=True):
        found = [rectangles.enclosing(image[0].double().numpy()) for image in pair]
        assert np.diff(goes(found)) == pytest.approx(by, abs=1.0)
        assert found[0].area == pytest.approx(found[1].area, rel=0.06)
        assert found[0].aspect == pytest.approx(found[1].aspect, rel=0.08)


def test_pictures_of_the_ablation_grow_by_half():
    before, after = (
        ablation._sizes([rectangles.enclosing(image[0].double().numpy()) for image in part])
        for part in ablation._grown(4)
    )
    assert after / before == pytest.approx(1.5, rel=0.03)
